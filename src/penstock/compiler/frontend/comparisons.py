"""Comparisons, alone and in chains; `is None`, and `in`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection
from functools import reduce
from typing import Any, Final, Literal

from penstock.compiler import ir
from penstock.compiler.frontend.convert import constant, same_type, settle
from penstock.compiler.frontend.flow import Env, join
from penstock.compiler.frontend.scope import Scope, expression, hold
from penstock.compiler.frontend.truth import Condition, known, test_none
from penstock.compiler.frontend.values import Choice, Static, Value, describe
from penstock.lang.types import BOOL, BoolType, IntType, Type

Operation = Literal["eq", "ne", "lt", "le", "gt", "ge"]
_OPERATIONS: Final[dict[type[ast.cmpop], tuple[Operation, Callable[[Any, Any], bool]]]] = {
    ast.Eq: ("eq", operator.eq),
    ast.NotEq: ("ne", operator.ne),
    ast.Lt: ("lt", operator.lt),
    ast.LtE: ("le", operator.le),
    ast.Gt: ("gt", operator.gt),
    ast.GtE: ("ge", operator.ge),
}


def comparison(scope: Scope, node: ast.Compare) -> Condition:
    """Lower a comparison, or a chain of them."""
    if len(node.ops) > 1:
        return _chain(scope, node)
    op, right = node.ops[0], node.comparators[0]
    if isinstance(op, ast.Is | ast.IsNot):
        return _identity(scope, node, right, is_none=isinstance(op, ast.Is))
    if isinstance(op, ast.In | ast.NotIn):
        return _membership(scope, node, right, wanted=isinstance(op, ast.In))
    return _condition(scope, compare(scope, node, expression(scope, node.left), op, expression(scope, right)))


def _condition(scope: Scope, value: Value) -> Condition:
    if isinstance(value, Static):
        return known(scope, value, truth=value.value)
    return Condition(value, scope.env, scope.env)


def compare(scope: Scope, node: ast.AST, left: Value, op: ast.cmpop, right: Value) -> Static | ir.Expr:
    """One comparison of two values; folded if both are known."""
    name, function = _OPERATIONS[type(op)]
    if isinstance(left, Static) and isinstance(right, Static):
        return _fold(scope, node, function, left, right)
    a, b = same_type(scope, node, left, right)
    if a.type != b.type or not isinstance(a.type, IntType | BoolType):
        raise scope.error(node, f"{describe(left)} compared with {describe(right)}{_advice(a, b)}")
    if isinstance(a.type, IntType) and a.type.big_endian and name not in ("eq", "ne"):
        raise scope.error(node, f"{a.type} has no order: convert it with u{a.type.bits}(…)")
    return ir.Compare(name, a, b, loc=scope.loc(node), type=BOOL)


def _fold(
    scope: Scope, node: ast.AST, function: Callable[[Any, Any], Any], left: Static, right: Static
) -> Static:
    try:
        return Static(bool(function(left.value, right.value)))
    except Exception as error:  # noqa: BLE001  # whatever objects of the user's may raise
        raise scope.error(node, f"cannot compare {describe(left)} with {describe(right)}: {error}") from None


def _advice(a: ir.Expr, b: ir.Expr) -> str:
    pointers = [isinstance(side.type, ir.PointerType) for side in (a, b)]
    if any(isinstance(side, ir.Null) for side in (a, b)):
        return ": use `is None`" if any(pointers) else ": it is never None"
    if all(pointers):
        return ": compare their fields"
    return ": convert one side" if not any(pointers) else ""


def _chain(scope: Scope, node: ast.Compare) -> Condition:
    """`a < b < c` is `a < b and b < c` with b evaluated once."""
    left = expression(scope, node.left)
    tests, stops, kind = list[ir.Expr](), list[Env | None](), None
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        kind = left.type if isinstance(left, ir.Expr) else kind
        right, again = _twice(scope, node, expression(scope, right_node), kind)
        test, left = compare(scope, node, left, op, right), again
        tests.append(settle(scope, node, test))
        stops.append(scope.env)
        if isinstance(test, Static) and not test.value:
            return Condition(_joined("and", tests), None, join(*stops))
    return Condition(_joined("and", tests), scope.env, join(*stops))


def _twice(scope: Scope, node: ast.AST, value: Value, kind: Type | None) -> tuple[Value, Value]:
    """`value` for its first use, which evaluates it, and for the next; numbers adapt to `kind`."""
    if isinstance(value, Static):
        return value, value
    expr = settle(scope, node, value, kind)
    assign, again = hold("middle", expr)
    return ir.AssignExpr(assign.var, expr, loc=expr.loc, type=expr.type), again


def _joined(op: Literal["and", "or"], tests: list[ir.Expr]) -> ir.Expr:
    return reduce(lambda left, right: ir.Logical(op, left, right, loc=left.loc, type=BOOL), tests)


def _identity(scope: Scope, node: ast.Compare, right: ast.expr, *, is_none: bool) -> Condition:
    subject, other = expression(scope, node.left), expression(scope, right)
    if isinstance(subject, Static) and isinstance(other, Static):
        same = subject.value is other.value
        return known(scope, Static(same == is_none), truth=same == is_none)
    if not (isinstance(other, Static) and other.value is None) or isinstance(subject, Static):
        raise scope.error(node, "`is` compares with None only: use == for values")
    if isinstance(subject, Choice) or not isinstance(subject.type, ir.PointerType):
        raise scope.error(node, f"{describe(subject)} is never None")
    return test_none(scope, node, node.left, subject, is_none=is_none)


def _membership(scope: Scope, node: ast.Compare, right: ast.expr, *, wanted: bool) -> Condition:
    """`x in (a, b)`: all are evaluated, then x is compared with each."""
    subject, items = expression(scope, node.left), _items(scope, right)
    if isinstance(subject, Static) and all(isinstance(item, Static) for item in items):
        found = any(_same(scope, node, subject, item) for item in items)
        return known(scope, Static(found == wanted), truth=found == wanted)
    first: list[ir.Stmt] = []
    kind = next((value.type for value in (subject, *items) if isinstance(value, ir.Expr)), None)
    held = _held(scope, node, subject, first, kind)
    items = [_held(scope, node, item, first, kind) for item in items]
    op = ast.Eq() if wanted else ast.NotEq()
    tests = [settle(scope, node, compare(scope, node, held, op, item)) for item in items]
    value = _joined("or" if wanted else "and", tests) if tests else constant(scope, node, not wanted)
    whole = ir.Sequence(first, value, loc=scope.loc(node), type=BOOL) if first else value
    return Condition(whole, scope.env, scope.env) if tests else known(scope, whole, truth=not wanted)


def _same(scope: Scope, node: ast.AST, subject: Static, item: Value) -> bool:
    test = compare(scope, node, subject, ast.Eq(), item)
    return isinstance(test, Static) and bool(test.value)


def _held(scope: Scope, node: ast.AST, value: Value, first: list[ir.Stmt], kind: Type | None) -> Value:
    """`value`, evaluated by a statement added to `first` if there is something to evaluate."""
    if isinstance(value, Static):
        return value
    assign, held = hold("item", settle(scope, node, value, kind))
    first.append(assign)
    return held


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str)


def _items(scope: Scope, node: ast.expr) -> list[Value]:
    if isinstance(node, ast.Tuple):
        return [expression(scope, item) for item in node.elts]
    value = expression(scope, node)
    if isinstance(value, Static) and _is_collection(value.value):
        return [Static(item) for item in value.value]
    raise scope.error(node, f"`in` takes a tuple, this is {describe(value)}")
