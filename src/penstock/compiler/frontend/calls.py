"""Calls: what is called decides who lowers it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FunctionType
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.convert import convert, fit, same_type
from penstock.compiler.frontend.expressions import pointee
from penstock.compiler.frontend.functions import bind, call_function
from penstock.compiler.frontend.maps import MAP_METHODS, map_name
from penstock.compiler.frontend.packets import PACKET_METHODS, tail_call_
from penstock.compiler.frontend.places import atomic_operation
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.statements import assign_to
from penstock.compiler.frontend.stubs import call_helper, call_kfunc
from penstock.compiler.frontend.values import MapType, Static, Value, describe
from penstock.lang import atomic
from penstock.lang.maps import MapSpec
from penstock.lang.program import Program, sizeof, tail_call, zeros
from penstock.lang.struct import Struct
from penstock.lang.types import BOOL, ArrayType, IntType, resolve

Intrinsic = Callable[[Scope, ast.Call], Value]


@lowers(EXPRESSIONS, ast.Call)
def lower_call(scope: Scope, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute):
        owner = expression(scope, node.func.value)
        if isinstance(owner, ir.Expr) or isinstance(owner.value, MapSpec):
            return _method(scope, node, node.func, owner)
    called = expression(scope, node.func)
    if isinstance(called, Static):
        return _static_call(scope, node, called.value)
    raise scope.error(node, f"{describe(called)} cannot be called")


def _method(scope: Scope, node: ast.Call, func: ast.Attribute, owner: Value) -> Value:
    if isinstance(owner, ir.Expr) and isinstance(owner.type, ir.ContextType):
        handler = PACKET_METHODS.get(func.attr)
        if handler is None:
            raise scope.error(node, f"{owner.type.name} has no method {func.attr!r}")
        return handler(scope, node, owner)
    spec, address = _map_of(scope, node, func, owner)
    for base in type(spec).__mro__:
        method = MAP_METHODS.get((base, func.attr))
        if method is not None:
            return method(scope, node, spec, address)
    raise scope.error(node, f"{type(spec).__name__} has no method {func.attr!r} in programs")


def _map_of(scope: Scope, node: ast.Call, func: ast.Attribute, owner: Value) -> tuple[MapSpec, ir.Expr]:
    if isinstance(owner, Static):
        spec: MapSpec = owner.value
        scope.builder.use_map(spec, map_name(func.value))
        return spec, ir.MapAddress(spec, loc=scope.loc(node), type=ir.PointerType(None))
    kind = pointee(scope, node, owner)
    if not isinstance(kind, MapType):
        raise scope.error(node, f"{describe(owner)} has no method {func.attr!r}")
    return kind.spec, owner


def _static_call(scope: Scope, node: ast.Call, called: Any) -> Value:
    if isinstance(called, IntType):
        return _convert(scope, node, called)
    if isinstance(called, type) and issubclass(called, Struct):
        return _construct(scope, node, called)
    if isinstance(called, Program):
        raise scope.error(
            node, f"{called.name} is a program: mark functions that are called with nothing, or @subprogram"
        )
    if hasattr(called, "__helper__"):
        return call_helper(scope, node, called)
    if hasattr(called, "__kfunc__"):
        return call_kfunc(scope, node, called)
    handler = INTRINSICS.get(called) if callable(called) else None
    if handler is not None:
        return handler(scope, node)
    if isinstance(called, FunctionType):
        return call_function(scope, node, called)
    raise scope.error(node, f"{ast.unparse(node.func)} cannot be called in a program")


def _arguments(scope: Scope, node: ast.Call, *names: str) -> list[Value]:
    return list(bind(scope, node, list(names), {}).values())


def _convert(scope: Scope, node: ast.Call, kind: IntType) -> Value:
    (value,) = _arguments(scope, node, "value")
    return convert(scope, node, value, kind)


def _construct(scope: Scope, node: ast.Call, struct: type[Struct]) -> Value:
    """`Key(port=80)`: zeroed storage that belongs to this place in the source, then the fields given."""
    if node.args:
        raise scope.error(node, f"fields of {struct.__name__} are given by name")
    layout = struct.__layout__
    storage = scope.storage(node, layout, struct.__name__)
    values = [(keyword, expression(scope, keyword.value)) for keyword in node.keywords]
    loc = scope.loc(node)
    scope.emit(ir.Zero(storage, loc=loc))
    pointer = ir.StorageAddress(storage, loc=loc, type=ir.PointerType(layout, local=True))
    for keyword, value in values:
        field = layout.fields.get(keyword.arg or "")
        if field is None:
            raise scope.error(keyword.value, f"{struct.__name__} has no field {keyword.arg!r}")
        address = ir.FieldAddress(
            pointer, field.name, field.offset, loc=loc, type=ir.PointerType(field.type, local=True)
        )
        _fill(scope, keyword.value, address, field.name, value)
    return pointer


def _fill(scope: Scope, node: ast.AST, address: ir.Expr, name: str, value: Value) -> None:
    assert isinstance(address.type, ir.PointerType)
    kind = address.type.to
    assert kind is not None
    if isinstance(kind, IntType) or kind == BOOL:
        scope.emit(ir.Store(address, fit(scope, node, value, kind, name), loc=scope.loc(node)))
    else:
        scope.emit(ir.Copy(address, fit(scope, node, value, ir.PointerType(kind), name), loc=scope.loc(node)))


def _zeros(scope: Scope, node: ast.Call) -> Value:
    element, length = _arguments(scope, node, "element", "length")
    if not isinstance(element, Static) or not isinstance(length, Static) or not isinstance(length.value, int):
        raise scope.error(node, "zeros(type, length) takes constants")
    if length.value <= 0:
        raise scope.error(node, f"an array of {length.value} elements")
    kind = ArrayType(_resolve(scope, node, element.value), length.value)
    storage = scope.storage(node, kind, "array")
    scope.emit(ir.Zero(storage, loc=scope.loc(node)))
    return ir.StorageAddress(storage, loc=scope.loc(node), type=ir.PointerType(kind, local=True))


def _resolve(scope: Scope, node: ast.AST, hint: Any) -> Any:
    try:
        return resolve(hint)
    except TypeError as error:
        raise scope.error(node, str(error)) from None


def _sizeof(scope: Scope, node: ast.Call) -> Value:
    (kind,) = _arguments(scope, node, "kind")
    if not isinstance(kind, Static):
        raise scope.error(node, f"sizeof takes a type, this is {describe(kind)}")
    return Static(_resolve(scope, node, kind.value).size)


def _len(scope: Scope, node: ast.Call) -> Value:
    (value,) = _arguments(scope, node, "value")
    if isinstance(value, Static):
        return _fold_call(scope, node, len, value)
    kind = pointee(scope, node, value)
    if not isinstance(kind, ArrayType):
        raise scope.error(node, f"{describe(value)} has no length")
    return Static(kind.length)


def _fold_call(scope: Scope, node: ast.Call, function: Callable[..., Any], *values: Static) -> Static:
    try:
        return Static(function(*(value.value for value in values)))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise scope.error(node, f"cannot compute this: {error}") from None


def _extreme(op: ir.Compare, a: ir.Expr, b: ir.Expr) -> ir.Expr:
    return ir.Select(op, a, b, loc=op.loc, type=a.type)


def _min_or_max(scope: Scope, node: ast.Call, function: Callable[..., Any]) -> Value:
    left, right = _arguments(scope, node, "a", "b")
    if isinstance(left, Static) and isinstance(right, Static):
        return _fold_call(scope, node, function, left, right)
    a, b = same_type(scope, node, left, right)
    if a.type != b.type or not isinstance(a.type, IntType) or a.type.big_endian:
        raise scope.error(
            node, f"{function.__name__} of {describe(left)} and {describe(right)}: convert one side"
        )
    held = [scope.temporary(a.type), scope.temporary(a.type)]
    loc = scope.loc(node)
    first, second = (
        ir.AssignExpr(var, value, loc=loc, type=a.type) for var, value in zip(held, (a, b), strict=True)
    )
    test = ir.Compare("le" if function is min else "ge", first, second, loc=loc, type=BOOL)
    return _extreme(test, *(ir.Var(var, loc=loc, type=a.type) for var in held))


def _static_only(scope: Scope, node: ast.Call, function: Callable[..., Any]) -> Value:
    values = [expression(scope, arg) for arg in node.args]
    if node.keywords or not all(isinstance(value, Static) for value in values):
        raise scope.error(node, f"{function.__name__} takes constants only; convert with u32(…) and the like")
    return _fold_call(scope, node, function, *(value for value in values if isinstance(value, Static)))


def _bool(scope: Scope, node: ast.Call) -> Value:
    (value,) = _arguments(scope, node, "value")
    if isinstance(value, Static):
        return Static(bool(value.value))
    if not isinstance(value.type, IntType):
        raise scope.error(node, f"bool of {describe(value)}")
    return ir.Convert(value, loc=scope.loc(node), type=BOOL)


def _isinstance(scope: Scope, node: ast.Call) -> Value:
    value, kind = _arguments(scope, node, "value", "kind")
    if not isinstance(kind, Static) or not isinstance(kind.value, type):
        raise scope.error(node, "isinstance takes one class")
    if isinstance(value, Static):
        return Static(isinstance(value.value, kind.value))
    if not isinstance(value.type, ir.ContextType):
        raise scope.error(node, f"isinstance tells packets apart, this is {describe(value)}")
    return Static(issubclass(value.type.of, kind.value))


def _static(function: Callable[..., Any]) -> Intrinsic:
    return lambda scope, node: _static_only(scope, node, function)


INTRINSICS: dict[Any, Intrinsic] = {
    zeros: _zeros,
    sizeof: _sizeof,
    len: _len,
    bool: _bool,
    isinstance: _isinstance,
    min: lambda scope, node: _min_or_max(scope, node, min),
    max: lambda scope, node: _min_or_max(scope, node, max),
    int: _static(int),
    abs: _static(abs),
    round: _static(round),
    tail_call: tail_call_,
    **{getattr(atomic, name): operation for name, operation in atomic_operation.items()},
}

__all__ = ["assign_to", "lower_call"]
