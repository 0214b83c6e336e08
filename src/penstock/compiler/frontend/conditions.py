"""Conditions: flow typing as mypy and pyright do it. Also what takes one of two values by a condition."""

from __future__ import annotations

import ast
from typing import Final

from penstock.compiler import ir
from penstock.compiler.frontend.comparisons import comparison
from penstock.compiler.frontend.convert import same_type, settle
from penstock.compiler.frontend.flow import join, merge_pointers
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.truth import Condition, truth
from penstock.compiler.frontend.values import NONE, Choice, Literal, Static, Value, describe, is_scalar
from penstock.lang.types import BOOL, Type

_AS_VALUE: Final = "as a value, `and` and `or` take truth values"


def condition(scope: Scope, node: ast.expr, *, as_value: bool = False) -> Condition:
    """Lower `node` as a condition. The caller goes on from one of the two environments.

    As a value, `a or b` is one of its operands: `as_value`, they must be truth values for it to be one.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _not(scope, node)
    if isinstance(node, ast.BoolOp):
        return _logical(scope, node, node.values, as_value=as_value)
    if isinstance(node, ast.Compare):
        return comparison(scope, node)
    value = expression(scope, node)
    if as_value and not isinstance(value, Static):
        _check_truth(scope, node, value)
    return truth(scope, node, value)


def _check_truth(scope: Scope, node: ast.AST, value: Value) -> None:
    expr = settle(scope, node, value)
    if expr.type != BOOL:
        raise scope.error(node, f"{_AS_VALUE}, this is {describe(value)}: write `a if test else b`")


def _not(scope: Scope, node: ast.UnaryOp) -> Condition:
    value, if_true, if_false = condition(scope, node.operand)
    if isinstance(value, Static):
        return Condition(Static(not value.value), if_false, if_true)
    inverse = ir.Unary("not", settle(scope, node, value), loc=scope.loc(node), type=BOOL)
    return Condition(inverse, if_false, if_true)


def _logical(scope: Scope, node: ast.BoolOp, operands: list[ast.expr], *, as_value: bool) -> Condition:
    """`and`/`or`: the rest is lowered knowing what the first operand decided, if it is reached at all."""
    left = condition(scope, operands[0], as_value=as_value)
    is_and = isinstance(node.op, ast.And)
    go_on, stop = (left.if_true, left.if_false) if is_and else (left.if_false, left.if_true)
    if len(operands) == 1 or go_on is None:
        return left
    scope.env = go_on
    right = _logical(scope, node, operands[1:], as_value=as_value)
    value = right.value
    if isinstance(left.value, ir.Expr):
        if as_value:
            _check_truth(scope, node, value)
        second = settle(scope, node, value if as_value or isinstance(value, ir.Expr) else _as_bool(value))
        op = "and" if is_and else "or"
        value = ir.Logical(op, left.value, second, loc=scope.loc(node), type=BOOL)
    if is_and:
        return Condition(value, right.if_true, join(stop, right.if_false))
    return Condition(value, join(stop, right.if_true), right.if_false)


def _as_bool(value: Value) -> Static:
    assert isinstance(value, Static)
    return Static(bool(value.value))


@lowers(EXPRESSIONS, ast.Compare, ast.BoolOp)
def lower_truth(scope: Scope, node: ast.expr) -> Value:
    """A condition used as a value."""
    value, if_true, if_false = condition(scope, node, as_value=True)
    scope.env = join(if_true, if_false)
    return value


@lowers(EXPRESSIONS, ast.IfExp)
def lower_conditional(scope: Scope, node: ast.IfExp) -> Value:
    """`a if test else b`, each side knowing what the test told; a test that is decided leaves one."""
    test = condition(scope, node.test)
    if test.decided is not None:
        scope.env = test.if_true if test.decided else test.if_false
        value = expression(scope, node.body if test.decided else node.orelse)
        return _after(scope, node, test.value, value)
    scope.env = test.if_true
    then, after_then = expression(scope, node.body), scope.env
    scope.env = test.if_false
    otherwise, after_else = expression(scope, node.orelse), scope.env
    scope.env = join(after_then, after_else)
    return _choose(scope, node, settle(scope, node, test.value), then, otherwise)


def _after(scope: Scope, node: ast.AST, test: Value, value: Value) -> Value:
    """`value`, after a test whose outcome is known is evaluated for its effects; numbers still adapt."""
    if not isinstance(test, ir.Expr):
        return value
    if number := _literal(value):
        return Choice(test, number, number)
    expr = settle(scope, node, value)
    evaluate = ir.Evaluate(test, loc=test.loc)
    return ir.Sequence([evaluate], expr, loc=expr.loc, type=expr.type)


def _choose(scope: Scope, node: ast.IfExp, test: ir.Expr, then: Value, otherwise: Value) -> Value:
    literals = _literal(then), _literal(otherwise)
    if literals[0] and literals[1]:
        return Choice(test, literals[0], literals[1])
    a, b = same_type(scope, node, then, otherwise)
    kind = _common(a.type, b.type)
    if kind is None:
        raise scope.error(node, f"one side is {describe(then)}, the other {describe(otherwise)}")
    return ir.Select(test, a, b, loc=scope.loc(node), type=kind)


def _literal(value: Value) -> Literal | None:
    """`value`, if it is made of numbers that adapt."""
    if isinstance(value, Static):
        return value if isinstance(value.value, int) and not isinstance(value.value, bool) else None
    return value if isinstance(value, Choice) else None


def _common(a: Type | None, b: Type | None) -> Type | None:
    """The type of a value that is one of two."""
    if isinstance(a, ir.PointerType) and isinstance(b, ir.PointerType):
        merged = merge_pointers(a, b)
        return None if merged == NONE else merged
    return a if a == b and is_scalar(a) else None
