"""Making a value fit where it is used: constants adapt, nothing else changes type by itself."""

from __future__ import annotations

import ast
from enum import Enum
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.values import (
    NONE,
    AnyArray,
    Choice,
    Static,
    Value,
    common_int,
    describe,
    is_number,
    is_scalar,
)
from penstock.lang.types import BOOL, ArrayType, BigEndian, BoolType, IntType, Type


def constant(scope: Scope, node: ast.AST, value: Any, kind: Type | None = None) -> ir.Expr:
    """A static value as an expression: of type `kind` if it adapts to it, or of the type it has by itself."""
    loc = scope.loc(node)
    if value is None:
        pointer = ir.PointerType(kind.to, nullable=True) if isinstance(kind, ir.PointerType) else NONE
        return ir.Null(loc=loc, type=pointer)
    if isinstance(value, bool):
        return ir.Const(int(value), loc=loc, type=BOOL)
    if isinstance(value, BigEndian):
        return ir.Const(value.value, loc=loc, type=value.type)
    if not isinstance(value, int):
        raise scope.error(node, f"{describe(Static(value))} cannot be a value in a program{_hint(value)}")
    target = kind if isinstance(kind, IntType) else common_int([value])
    if target.big_endian:
        raise scope.error(node, f"{int(value)} has no byte order: write {target}({int(value)})")
    if not target.minimum <= value <= target.maximum:
        raise scope.error(node, f"{int(value)} does not fit in {target}")
    return ir.Const(int(value), loc=loc, type=target)


def _hint(value: Any) -> str:
    if isinstance(value, float):
        return ": make it whole with int(…)"
    return ": use its .value, or an IntEnum" if isinstance(value, Enum) else ""


def settle(scope: Scope, node: ast.AST, value: Value, kind: Type | None = None) -> ir.Expr:
    """`value` as an expression; what is made of literals gets type `kind`, or the one it has by itself."""
    if isinstance(value, Static):
        return constant(scope, node, value.value, kind)
    if isinstance(value, Choice):
        kind = kind if isinstance(kind, IntType) else common_int(value.numbers())
        then, otherwise = (settle(scope, node, side, kind) for side in (value.then, value.otherwise))
        return ir.Select(value.test, then, otherwise, loc=scope.loc(node), type=kind)
    return value


def fit(scope: Scope, node: ast.AST, value: Value, kind: Type, what: str) -> ir.Expr:
    """`value` as an expression of exactly `kind`; `what` names the place it goes to for the error."""
    expr = settle(scope, node, value, kind)
    if _fits(expr.type, kind):
        return expr
    raise scope.error(node, f"{what} is {kind}, this is {describe(value)}{_advice(value, expr.type, kind)}")


def _fits(have: Type | None, want: Type) -> bool:
    """Whether an expression of type `have` may be used where `want` is expected."""
    if isinstance(want, ir.PointerType) and isinstance(have, ir.PointerType):
        if have.nullable and not want.nullable:
            return False
        if isinstance(want.to, AnyArray) and isinstance(have.to, ArrayType):
            return have.to.element == want.to.element
        return have.to is None or want.to is None or have.to == want.to
    return have == want


def _advice(value: Value, have: Type | None, want: Type) -> str:
    if isinstance(want, ir.PointerType):
        nullable = isinstance(have, ir.PointerType) and have.nullable and isinstance(value, ir.Expr)
        return ": it may be None, test it first" if nullable else ""
    if isinstance(have, IntType | BoolType) and isinstance(want, IntType):
        return f": write {want}(…)"
    return ": compare it, e.g. with != 0" if isinstance(want, BoolType) and is_number(have) else ""


def same_type(scope: Scope, node: ast.AST, left: Value, right: Value) -> tuple[ir.Expr, ir.Expr]:
    """Both sides of an operator as expressions; what is made of literals takes the type of the other side."""
    if isinstance(left, ir.Expr):
        return left, settle(scope, node, right, left.type)
    if isinstance(right, ir.Expr):
        return settle(scope, node, left, right.type), right
    sides = (side.numbers() if isinstance(side, Choice) else [side.value] for side in (left, right))
    numbers = [number for side in sides for number in side if isinstance(number, int)]
    kind = common_int(numbers)
    return settle(scope, node, left, kind), settle(scope, node, right, kind)


def convert(scope: Scope, node: ast.AST, value: Value, kind: IntType) -> ir.Expr:
    """`kind(value)`: truncate, extend, or swap to or from big-endian."""
    loc = scope.loc(node)
    native = IntType(f"u{kind.bits}", kind.bits) if kind.big_endian else kind
    if isinstance(value, Static) and isinstance(value.value, int):
        return ir.Const(kind.wrap(value.value), loc=loc, type=kind)
    if isinstance(value, Choice):
        value = value.map(lambda number: Static(native.wrap(number.value)))
    expr = settle(scope, node, value, native)
    have = expr.type
    if not is_scalar(have):
        raise scope.error(node, f"{describe(value)} cannot be made a {kind}")
    if isinstance(have, IntType) and have.big_endian and have.bits != kind.bits:
        raise scope.error(node, f"{have} to {kind}: make it a u{have.bits} first")
    if kind.big_endian and have not in (kind, native):
        raise scope.error(node, f"{have} to {kind}: make it a {native} first")
    if isinstance(expr, ir.Const):
        return ir.Const(kind.wrap(expr.value), loc=loc, type=kind)
    return expr if have == kind else ir.Convert(expr, loc=loc, type=kind)
