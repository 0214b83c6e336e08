"""Calls of kernel helpers and kernel functions, checked against their declarations."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable as AbcCallable
from typing import Any, get_origin

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.functions import bind, callback
from penstock.compiler.frontend.maps import map_name
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.values import AnyPacket, MapType, Static, Value, annotated_type, describe
from penstock.lang.helpers import Memory
from penstock.lang.maps import MapSpec
from penstock.lang.types import OpaqueType, Timer, Type, u64


def call_helper(scope: Scope, node: ast.Call, stub: Any) -> Value:
    """A call of a declared helper."""
    info = stub.__helper__
    arguments, result = _arguments(scope, node, stub)
    return ir.HelperCall(stub.__name__, info.number, info.since, arguments, loc=scope.loc(node), type=result)


def call_kfunc(scope: Scope, node: ast.Call, stub: Any) -> Value:
    """A call of a declared kernel function."""
    arguments, result = _arguments(scope, node, stub)
    return ir.KfuncCall(stub.__name__, arguments, loc=scope.loc(node), type=result)


def _arguments(scope: Scope, node: ast.Call, stub: Any) -> tuple[list[ir.Expr], Type | None]:
    signature = inspect.signature(stub, eval_str=True)
    defaults = {
        p.name: p.default for p in signature.parameters.values() if p.default is not inspect.Parameter.empty
    }
    given = bind(scope, node, list(signature.parameters), defaults)
    arguments: list[ir.Expr] = []
    for name, value in given.items():
        hint = signature.parameters[name].annotation
        arguments.append(_argument(scope, node, name, hint, value, arguments))
    result = signature.return_annotation
    return arguments, None if result is None else annotated_type(result)


def _argument(
    scope: Scope, node: ast.Call, name: str, hint: Any, value: Value, before: list[ir.Expr]
) -> ir.Expr:
    if hint is Memory:
        return _memory(scope, node, name, value)
    if hint is MapSpec:
        return _map(scope, node, name, value)
    if hint is AbcCallable or get_origin(hint) is AbcCallable:
        return _function(scope, node, value, before)
    kind = annotated_type(hint)
    if isinstance(kind, OpaqueType):
        kind = ir.PointerType(kind)
    if isinstance(kind, AnyPacket):
        if (
            isinstance(value, Static)
            or not isinstance(value.type, ir.ContextType)
            or not issubclass(value.type.of, kind.of)
        ):
            raise scope.error(node, f"{name} is {kind.name}, this is {describe(value)}")
        return value
    assert kind is not None, f"{name}: {hint!r} in a declaration of the kernel's"
    return fit(scope, node, value, kind, name)


def _memory(scope: Scope, node: ast.Call, name: str, value: Value) -> ir.Expr:
    if isinstance(value, Static) or not isinstance(value.type, ir.PointerType) or value.type.nullable:
        raise scope.error(node, f"{name} is a struct or an array, this is {describe(value)}")
    return value


def _map(scope: Scope, node: ast.Call, name: str, value: Value) -> ir.Expr:
    if isinstance(value, Static) and isinstance(value.value, MapSpec):
        written = next((arg for arg in node.args if isinstance(arg, ast.Name | ast.Attribute)), None)
        scope.builder.use_map(value.value, map_name(written) if written else "map")
        return ir.MapAddress(value.value, loc=scope.loc(node), type=ir.PointerType(None))
    if (
        isinstance(value, ir.Expr)
        and isinstance(value.type, ir.PointerType)
        and isinstance(value.type.to, MapType)
    ):
        return value
    raise scope.error(node, f"{name} is a map, this is {describe(value)}")


def _function(scope: Scope, node: ast.Call, value: Value, given: list[ir.Expr]) -> ir.Expr:
    """A callback: of a timer, `(key, value)` of the map it lies in; of a loop, `(index, state)`."""
    called = value.value if isinstance(value, Static) else None
    timer = any(isinstance(a.type, ir.PointerType) and a.type.to == TIMER for a in given)
    if timer:
        spec = _map_of_timer(scope, node, called)
        offered: list[Type] = [ir.PointerType(spec.key_type), ir.PointerType(spec.value_type)]
        target = callback(scope, node, called, [ir.PointerType(None)], offered)
    else:
        target = callback(scope, node, called, [], [U64, *_state_types(scope, node, called)])
    return ir.FunctionAddress(target, loc=scope.loc(node), type=ir.PointerType(None))


def _map_of_timer(scope: Scope, node: ast.Call, called: Any) -> MapSpec:
    """The map that the callback's value type belongs to: the timer was set up with it before."""
    hints = list(inspect.get_annotations(called, eval_str=True).values()) if callable(called) else []
    value = annotated_type(hints[1]) if len(hints) > 1 else None
    for spec in scope.builder.unit.maps:
        if isinstance(value, ir.PointerType) and spec.value_type is value.to:
            return spec
    raise scope.error(node, "a timer's callback takes (key, value) of the map that timer_init named before")


def _state_types(scope: Scope, node: ast.Call, called: Any) -> list[Type]:
    hints = list(inspect.get_annotations(called, eval_str=True).values()) if callable(called) else []
    state = annotated_type(hints[1]) if len(hints) > 1 else None
    if not isinstance(state, ir.PointerType):
        raise scope.error(node, "a loop's callback takes (index: u64, state: a Struct)")
    return [state]


U64: Any = u64
TIMER: Any = Timer
