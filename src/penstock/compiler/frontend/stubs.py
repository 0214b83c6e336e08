"""Calls of kernel helpers and kernel functions, checked against their declarations."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable as AbcCallable
from dataclasses import replace
from functools import cache
from types import FunctionType
from typing import Any, get_origin

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.expressions import written_name
from penstock.compiler.frontend.functions import callback, packet_argument
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.signature import Signature, bind, signature_of
from penstock.compiler.frontend.values import (
    U64,
    AnyPacket,
    MapType,
    Static,
    Value,
    annotated_type,
    describe,
)
from penstock.lang.helpers import Memory
from penstock.lang.maps import MapSpec
from penstock.lang.types import OpaqueType, Timer, Type, resolve

TIMER = resolve(Timer)


def call_helper(scope: Scope, node: ast.Call, stub: Any) -> Value:
    """A call of a declared helper."""
    info = stub.__helper__
    arguments, result = _arguments(scope, node, stub)
    return ir.HelperCall(stub.__name__, info.number, info.since, arguments, loc=scope.loc(node), type=result)


def call_kfunc(scope: Scope, node: ast.Call, stub: Any) -> Value:
    """A call of a declared kernel function."""
    arguments, result = _arguments(scope, node, stub)
    return ir.KfuncCall(stub.__name__, arguments, loc=scope.loc(node), type=result)


@cache
def _declaration(stub: Any) -> tuple[Signature, dict[str, Any], Type | None]:
    """Signature, annotations and result of a declaration."""
    declared = inspect.signature(stub, eval_str=True)
    parameters = declared.parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    signature = Signature(tuple(parameters), len(parameters), defaults=defaults)
    result = declared.return_annotation
    hints = {name: p.annotation for name, p in parameters.items()}
    return signature, hints, None if result is None else annotated_type(result)


def _arguments(scope: Scope, node: ast.Call, stub: Any) -> tuple[list[ir.Expr], Type | None]:
    signature, hints, result = _declaration(stub)
    arguments: list[ir.Expr] = []
    for name, value in bind(scope, node, signature).items():
        arguments.append(_argument(scope, node, name, hints[name], value, arguments))
    return arguments, result


def _argument(
    scope: Scope, node: ast.Call, name: str, hint: Any, value: Value, before: list[ir.Expr]
) -> ir.Expr:
    if hint is Memory:
        return _memory(scope, node, name, value)
    if hint is MapSpec:
        return _map(scope, node, name, value)
    if hint is AbcCallable or get_origin(hint) is AbcCallable:
        return _function(scope, node, value, before)
    kind = ir.PointerType(hint) if isinstance(hint, OpaqueType) else annotated_type(hint)
    if isinstance(kind, AnyPacket):
        return packet_argument(scope, node, value, kind, name)
    assert kind is not None, f"{name}: {hint!r} in a declaration of the kernel's"
    return fit(scope, node, value, kind, name)


def _memory(scope: Scope, node: ast.Call, name: str, value: Value) -> ir.Expr:
    if not isinstance(value, ir.Expr) or not isinstance(value.type, ir.PointerType):
        raise scope.error(node, f"{name} is a struct or an array, this is {describe(value)}")
    return fit(scope, node, value, ir.PointerType(None), name)


def _map(scope: Scope, node: ast.Call, name: str, value: Value) -> ir.Expr:
    if isinstance(value, Static) and isinstance(value.value, MapSpec):
        written = next((arg for arg in node.args if isinstance(arg, ast.Name | ast.Attribute)), node)
        scope.builder.use_map(value.value, written_name(written))
        return ir.MapAddress(value.value, loc=scope.loc(node), type=ir.PointerType(None))
    kind = value.type if isinstance(value, ir.Expr) else None
    if isinstance(kind, ir.PointerType) and isinstance(kind.to, MapType):
        return fit(scope, node, value, ir.PointerType(kind.to), name)
    raise scope.error(node, f"{name} is a map, this is {describe(value)}")


def _function(scope: Scope, node: ast.Call, value: Value, before: list[ir.Expr]) -> ir.Expr:
    """A callback: of a timer, `(key, value)` of the map it lies in; of a loop, `(index, state)`."""
    called = value.value if isinstance(value, Static) else None
    if not isinstance(called, FunctionType):
        raise scope.error(node, "a callback is a function of the program")
    hints = _hints(scope, called)
    if any(isinstance(argument.type, ir.PointerType) and argument.type.to == TIMER for argument in before):
        target = callback(scope, node, called, [ir.PointerType(None)], _of_timer(scope, node, hints))
    elif len(hints) > 1 and isinstance(hints[1], ir.PointerType):
        target = callback(scope, node, called, [], [U64, replace(hints[1], local=True)])
    else:
        raise scope.error(node, "a loop's callback takes (index: u64, state: a Struct)")
    return ir.FunctionAddress(target, loc=scope.loc(node), type=ir.PointerType(None))


def _hints(scope: Scope, function: FunctionType) -> list[Type | None]:
    source = scope.builder.source(function)
    return [annotated_type(source.hint(name)) for name in signature_of(source).names]


def _of_timer(scope: Scope, node: ast.Call, hints: list[Type | None]) -> list[Type]:
    """What a timer's callback is given: key and value of a map that `timer_init` named before."""
    for spec in scope.builder.unit.maps:
        key, value = ir.PointerType(spec.key_type), ir.PointerType(spec.value_type)
        if len(hints) > 1 and hints[0] in (key, spec.key_type) and hints[1] == value:
            return [key, value]
    raise scope.error(node, "a timer's callback takes (key, value) of the map that timer_init named before")
