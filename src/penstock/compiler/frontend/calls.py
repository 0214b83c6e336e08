"""Calls: what is called decides who lowers it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Hashable
from types import FunctionType, MethodType
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.atomics import ATOMICS
from penstock.compiler.frontend.builtin import BUILTINS
from penstock.compiler.frontend.convert import convert
from penstock.compiler.frontend.expressions import pointee, reference, written_name
from penstock.compiler.frontend.functions import call_function
from penstock.compiler.frontend.maps import MAP_METHODS
from penstock.compiler.frontend.packets import PACKET_METHODS, lower_tail_call
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.signature import positional
from penstock.compiler.frontend.storage import make_struct
from penstock.compiler.frontend.stubs import call_helper, call_kfunc
from penstock.compiler.frontend.values import MapType, Static, Value, describe
from penstock.lang.maps import MapSpec
from penstock.lang.program import Program, tail_call
from penstock.lang.struct import Struct
from penstock.lang.types import IntType

INTRINSICS: dict[Hashable, Callable[[Scope, ast.Call], Value]] = {
    **BUILTINS,
    **ATOMICS,
    tail_call: lower_tail_call,
}
"""Functions of Python and of the language that the compiler gives their meaning."""


@lowers(EXPRESSIONS, ast.Call)
def lower_call(scope: Scope, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute):
        owner = expression(scope, node.func.value)
        if not isinstance(owner, Static):
            return _method(scope, node, node.func, owner)
        if isinstance(owner.value, MapSpec):
            return _map_method(scope, node, node.func, owner.value)
    called = expression(scope, node.func)
    if isinstance(called, Static):
        return _static_call(scope, node, called.value)
    raise scope.error(node, f"{describe(called)} cannot be called")


def _method(scope: Scope, node: ast.Call, func: ast.Attribute, owner: Value) -> Value:
    if isinstance(owner, ir.Expr) and isinstance(owner.type, ir.ContextType):
        handler = PACKET_METHODS.get(func.attr)
        if handler is None:
            raise scope.error(node, f"{owner.type} has no method {func.attr!r}")
        return handler(scope, node, owner)
    pointer = reference(scope, node, owner)
    kind = pointee(pointer)
    if not isinstance(kind, MapType):
        raise scope.error(node, f"{describe(owner)} has no method {func.attr!r}")
    return _dispatch(scope, node, func, kind.spec, pointer)


def _map_method(scope: Scope, node: ast.Call, func: ast.Attribute, spec: MapSpec) -> Value:
    scope.builder.use_map(spec, written_name(func.value))
    address = ir.MapAddress(spec, loc=scope.loc(node), type=ir.PointerType(None))
    return _dispatch(scope, node, func, spec, address)


def _dispatch(scope: Scope, node: ast.Call, func: ast.Attribute, spec: MapSpec, address: ir.Expr) -> Value:
    for base in type(spec).__mro__:
        method = MAP_METHODS.get((base, func.attr))
        if method is not None:
            return method(scope, node, spec, address)
    raise scope.error(node, f"{type(spec).__name__} has no method {func.attr!r} in programs")


def _static_call(scope: Scope, node: ast.Call, called: Any) -> Value:
    if hasattr(called, "__helper__"):
        return call_helper(scope, node, called)
    if hasattr(called, "__kfunc__"):
        return call_kfunc(scope, node, called)
    if isinstance(called, IntType):
        (value,) = positional(scope, node, 1)
        return convert(scope, node, value, called)
    if isinstance(called, type) and issubclass(called, Struct):
        return make_struct(scope, node, called)
    if isinstance(called, Hashable) and called in INTRINSICS:
        return INTRINSICS[called](scope, node)
    function, *owner = _parts(called)
    if isinstance(function, FunctionType) and not _is_of_python(function):
        return call_function(scope, node, function, *owner)
    advice = (
        ": it is a program itself, call a function that both share" if isinstance(called, Program) else ""
    )
    raise scope.error(node, f"{ast.unparse(node.func)} cannot be called in a program{advice}")


def _parts(called: Any) -> tuple[Any, ...]:
    """A method's function and its object; anything else as it is."""
    return (called.__func__, called.__self__) if isinstance(called, MethodType) else (called,)


def _is_of_python(function: FunctionType) -> bool:
    return function.__module__.partition(".")[0] in sys.stdlib_module_names
