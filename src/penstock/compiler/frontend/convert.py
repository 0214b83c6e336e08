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
    LiteralSelect,
    Static,
    Value,
    default_int,
    describe,
    is_scalar,
)
from penstock.lang.types import BOOL, ArrayType, BigEndian, BoolType, IntType, Type, i64, u64


def constant(scope: Scope, node: ast.AST, value: Any, kind: Type | None = None) -> ir.Expr:
    """A static value as an expression: of type `kind`, or of the type it has by itself."""
    loc = scope.loc(node)
    value = value.value if isinstance(value, Enum) else value
    if value is None:
        return ir.Null(
            loc=loc, type=ir.PointerType(kind.to, nullable=True) if isinstance(kind, ir.PointerType) else NONE
        )
    if isinstance(value, bool):
        return ir.Const(int(value), loc=loc, type=BOOL)
    if isinstance(value, BigEndian):
        return ir.Const(value.value, loc=loc, type=value.type)
    if not isinstance(value, int):
        raise scope.error(node, f"{value!r} cannot be a value in a program")
    target = kind if isinstance(kind, IntType) else default_int(value)
    if target.big_endian:
        raise scope.error(node, f"{value} has no byte order: write {target}({value})")
    if not target.minimum <= value <= target.maximum:
        raise scope.error(node, f"{value} does not fit in {target}")
    return ir.Const(value, loc=loc, type=target)


def materialise(scope: Scope, node: ast.AST, value: Value) -> ir.Expr:
    """`value` as an expression, of the type it has by itself."""
    if isinstance(value, Static):
        return constant(scope, node, value.value)
    return adapt(scope, node, value, _any(i64 if _signed(value) else u64))


def _signed(value: ir.Expr) -> bool:
    if isinstance(value, ir.Select):
        return _signed(value.then) or _signed(value.otherwise)
    return value.type == i64


def _any(kind: Any) -> IntType:
    return kind


def fit(scope: Scope, node: ast.AST, value: Value, kind: Type, what: str) -> ir.Expr:
    """`value` as an expression of exactly `kind`; `what` names the place it goes to for the error."""
    expr = adapt(scope, node, value, kind)
    if fits(expr.type, kind):
        return expr
    raise scope.error(node, f"{what} is {kind.name}, this is {describe(value)}{_advice(expr.type, kind)}")


def adapt(scope: Scope, node: ast.AST, value: Value, kind: Type | None) -> ir.Expr:
    """`value` as an expression, of type `kind` if it is made of literals."""
    if isinstance(value, Static):
        return constant(scope, node, value.value, kind)
    if isinstance(value, LiteralSelect) and isinstance(kind, IntType):
        sides = (value.then, value.otherwise)
        then, otherwise = (
            constant(scope, node, side.value, kind)
            if isinstance(side, ir.Const)
            else adapt(scope, node, side, kind)
            for side in sides
        )
        return ir.Select(value.condition, then, otherwise, loc=value.loc, type=kind)
    return value


def fits(have: Type | None, want: Type) -> bool:
    """Whether an expression of type `have` may be used where `want` is expected."""
    if isinstance(want, ir.PointerType) and isinstance(have, ir.PointerType):
        if have.nullable and not want.nullable:
            return False
        if isinstance(want.to, AnyArray):
            return isinstance(have.to, ArrayType) and have.to.element == want.to.element
        return have == NONE or want.to is None or have.to == want.to
    return have == want


def _advice(have: Type | None, want: Type) -> str:
    if isinstance(have, ir.PointerType) and isinstance(want, ir.PointerType) and have.nullable:
        return ": it may be None, test it first"
    if isinstance(have, IntType | BoolType) and isinstance(want, IntType):
        return f": write {want}(…)"
    return ""


def same_type(scope: Scope, node: ast.AST, left: Value, right: Value) -> tuple[ir.Expr, ir.Expr]:
    """Both sides of an operator as expressions of one type; constants take the type of the other side."""
    if isinstance(left, Static) and not isinstance(right, Static):
        return constant(scope, node, left.value, right.type), right
    if isinstance(right, Static) and not isinstance(left, Static):
        return left, constant(scope, node, right.value, left.type)
    if isinstance(left, LiteralSelect) and isinstance(right, ir.Expr):
        return adapt(scope, node, left, right.type), right
    if isinstance(right, LiteralSelect) and isinstance(left, ir.Expr):
        return left, adapt(scope, node, right, left.type)
    return materialise(scope, node, left), materialise(scope, node, right)


def convert(scope: Scope, node: ast.AST, value: Value, kind: IntType) -> ir.Expr:
    """`kind(value)`: truncate, extend, or swap to or from big-endian."""
    loc = scope.loc(node)
    if isinstance(value, Static):
        if not isinstance(value.value, int | BigEndian):
            raise scope.error(node, f"{describe(value)} cannot be made a {kind}")
        return ir.Const(kind.wrap(int(value.value)), loc=loc, type=kind)
    value = adapt(scope, node, value, kind)
    have = value.type
    if not is_scalar(have):
        raise scope.error(node, f"{describe(value)} cannot be made a {kind}")
    if isinstance(have, IntType) and have.big_endian and have.bits != kind.bits:
        raise scope.error(node, f"{have} to {kind}: make it a u{have.bits} first")
    if isinstance(have, IntType) and kind.big_endian and (have.bits != kind.bits or have.signed):
        raise scope.error(node, f"{have} to {kind}: make it a u{kind.bits} first")
    return value if have == kind else ir.Convert(value, loc=loc, type=kind)
