"""Conditions, and what they tell of names: the flow typing that mypy and pyright do."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit, materialise, same_type
from penstock.compiler.frontend.flow import Env, join, merge_pointers, not_none
from penstock.compiler.frontend.scope import Scope, expression
from penstock.compiler.frontend.values import NONE, LiteralSelect, Static, Value, describe
from penstock.lang.types import BOOL, BigEndian, BoolType, IntType

Condition: TypeAlias = tuple[Value, Env | None, Env | None]
"""The truth value, and what is known where it is true and where it is false."""

CompareOp = Literal["eq", "ne", "lt", "le", "gt", "ge"]
COMPARISONS: dict[type[ast.cmpop], tuple[CompareOp, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("eq", operator.eq),
    ast.NotEq: ("ne", operator.ne),
    ast.Lt: ("lt", operator.lt),
    ast.LtE: ("le", operator.le),
    ast.Gt: ("gt", operator.gt),
    ast.GtE: ("ge", operator.ge),
}


def condition(scope: Scope, node: ast.expr, *, as_value: bool = False) -> Condition:
    """Lower `node` as a condition. The caller continues from one of the two environments.

    As a value, `a or b` is one of its operands: there (`as_value`) they must be truth values for it to be one.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _not(scope, node)
    if isinstance(node, ast.BoolOp):
        return _logical(scope, node, node.values, as_value=as_value)
    if isinstance(node, ast.Compare):
        return _compare(scope, node)
    value = expression(scope, node)
    if as_value and not isinstance(value, Static) and value.type != BOOL:
        raise scope.error(
            node, f"as a value, and/or take truth values, this is {describe(value)}: use `a if … else b`"
        )
    return _truth(scope, node, value)


def _known(scope: Scope, value: bool) -> Condition:  # noqa: FBT001  # the value is the point
    env = scope.env
    return Static(value), env if value else None, None if value else env


def _truth(scope: Scope, node: ast.expr, value: Value) -> Condition:
    if isinstance(value, Static):
        return _known(scope, bool(value.value))
    if isinstance(value.type, ir.PointerType):
        return _test_none(scope, node, node, value, is_none=False)
    if isinstance(value.type, BoolType):
        return value, scope.env, _copy(scope.env)
    if isinstance(value.type, IntType):
        return ir.Convert(value, loc=scope.loc(node), type=BOOL), scope.env, _copy(scope.env)
    raise scope.error(node, f"{describe(value)} is neither true nor false")


def _copy(env: Env | None) -> Env | None:
    return None if env is None else dict(env)


def _not(scope: Scope, node: ast.UnaryOp) -> Condition:
    value, if_true, if_false = condition(scope, node.operand)
    if isinstance(value, Static):
        return Static(not value.value), if_false, if_true
    return ir.Unary("not", value, loc=scope.loc(node), type=BOOL), if_false, if_true


def _logical(scope: Scope, node: ast.BoolOp, operands: list[ast.expr], *, as_value: bool) -> Condition:
    """`and`/`or`: the rest is lowered knowing what the first operand decided."""
    left, if_true, if_false = condition(scope, operands[0], as_value=as_value)
    if len(operands) == 1:
        return left, if_true, if_false
    is_and = isinstance(node.op, ast.And)
    go_on, stop = (if_true, if_false) if is_and else (if_false, if_true)
    if go_on is None:
        return left, if_true, if_false
    with scope.block(go_on) as out:
        right, right_true, right_false = _logical(scope, node, operands[1:], as_value=as_value)
    result = _combine(scope, node, is_and, left, right, out)
    if is_and:
        return result, right_true, join(stop, right_false)
    return result, join(stop, right_true), right_false


def _combine(
    scope: Scope,
    node: ast.BoolOp,
    is_and: bool,
    left: Value,
    right: Value,
    out: list[ir.Stmt],
) -> Value:
    if isinstance(left, Static):  # decides nothing, or `_logical` would have stopped
        scope.out.extend(out)
        return right
    loc = scope.loc(node)
    second = materialise(scope, node, right)
    if not out:
        return ir.Logical("and" if is_and else "or", left, second, loc=loc, type=BOOL)
    result = scope.temporary(BOOL)  # the right side has statements: they too run only if it is reached
    branch = [*out, ir.Assign(result, second, loc=loc)]
    scope.emit(ir.Assign(result, left, loc=loc))
    test = ir.Var(result, loc=loc, type=BOOL)
    scope.emit(ir.If(test, branch if is_and else [], [] if is_and else branch, loc=loc))
    return ir.Var(result, loc=loc, type=BOOL)


def _compare(scope: Scope, node: ast.Compare) -> Condition:
    if len(node.ops) == 1:
        return _compare_two(scope, node, node.left, node.ops[0], node.comparators[0])
    return _chain(scope, node)


def _chain(scope: Scope, node: ast.Compare) -> Condition:
    """`a < b < c` is `a < b and b < c` with b evaluated once."""
    result: Value = Static(value=True)
    left = expression(scope, node.left)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        first, again = _held(scope, expression(scope, right_node))
        result = _and(scope, node, result, compare(scope, node, left, op, first))
        left = again
    return result, scope.env, _copy(scope.env)


def _held(scope: Scope, value: Value) -> tuple[Value, Value]:
    """`value` for its first use, which evaluates it, and for later ones."""
    if isinstance(value, Static | ir.Const | ir.Var):
        return value, value
    held = scope.temporary(_typed(value))
    first = ir.AssignExpr(held, value, loc=value.loc, type=value.type)
    return first, ir.Var(held, loc=value.loc, type=value.type)


def _typed(value: ir.Expr) -> Any:
    return value.type


def _and(scope: Scope, node: ast.AST, left: Value, right: Value) -> Value:
    if isinstance(left, Static):
        return right if left.value else left
    if isinstance(right, Static):
        return left if right.value else right
    return ir.Logical("and", left, right, loc=scope.loc(node), type=BOOL)


def _compare_two(
    scope: Scope, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr
) -> Condition:
    if isinstance(op, ast.Is | ast.IsNot):
        return _identity(scope, node, left, op, right)
    if isinstance(op, ast.In | ast.NotIn):
        return _membership(scope, node, left, op, right)
    result = compare(scope, node, expression(scope, left), op, expression(scope, right))
    return (
        _known(scope, result.value) if isinstance(result, Static) else (result, scope.env, _copy(scope.env))
    )


def compare(scope: Scope, node: ast.AST, left: Value, op: ast.cmpop, right: Value) -> Value:
    """One comparison of two values; folded if both are known."""
    if type(op) not in COMPARISONS:
        raise scope.error(node, "this comparison cannot be chained")
    name, function = COMPARISONS[type(op)]
    if isinstance(left, Static) and isinstance(right, Static):
        return Static(function(_plain(left.value), _plain(right.value)))
    a, b = same_type(scope, node, left, right)
    if a.type != b.type or not isinstance(a.type, IntType | BoolType):
        hint = ": compare its fields" if isinstance(a.type, ir.PointerType) else ": convert one side"
        raise scope.error(node, f"{describe(left)} compared with {describe(right)}{hint}")
    if isinstance(a.type, IntType) and a.type.big_endian and name not in ("eq", "ne"):
        raise scope.error(node, f"{a.type} has no order: convert it with u{a.type.bits}(…)")
    return ir.Compare(name, a, b, loc=scope.loc(node), type=BOOL)


def _plain(value: Any) -> Any:
    return (value.type, value.value) if isinstance(value, BigEndian) else value


def _identity(scope: Scope, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    subject, other = expression(scope, left), expression(scope, right)
    is_not = isinstance(op, ast.IsNot)
    if isinstance(subject, Static) and isinstance(other, Static):
        return _known(scope, (subject.value is other.value) != is_not)
    if not (isinstance(other, Static) and other.value is None) or isinstance(subject, Static):
        raise scope.error(node, "`is` compares with None: use == for values")
    if not isinstance(subject.type, ir.PointerType):
        raise scope.error(node, f"{describe(subject)} is never None")
    return _test_none(scope, node, left, subject, is_none=not is_not)


def _test_none(
    scope: Scope, node: ast.AST, name_node: ast.expr, subject: ir.Expr, *, is_none: bool
) -> Condition:
    loc = scope.loc(node)
    test = ir.Compare(
        "eq" if is_none else "ne", subject, ir.Null(loc=loc, type=subject.type), loc=loc, type=BOOL
    )
    present = _narrowed(scope, name_node)
    absent = _copy(scope.env)
    return (test, absent, present) if is_none else (test, present, absent)


def _narrowed(scope: Scope, node: ast.expr) -> Env | None:
    env = _copy(scope.env)
    name = (
        node.target.id if isinstance(node, ast.NamedExpr) else node.id if isinstance(node, ast.Name) else None
    )
    if env is not None and name in env:
        env[name] = not_none(env[name])
    return env


def _membership(scope: Scope, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    """`x in (a, b)`: a comparison with each."""
    subject = expression(scope, left)
    items = _items(scope, right)
    wanted = isinstance(op, ast.In)
    if isinstance(subject, Static) and all(isinstance(item, Static) for item in items):
        found = any(_plain(subject.value) == _plain(item.value) for item in items if isinstance(item, Static))
        return _known(scope, found == wanted)
    first, again = _held(scope, materialise(scope, left, subject))
    result: ir.Expr | None = None
    for item in items:
        test = compare(
            scope, node, first if result is None else again, ast.Eq() if wanted else ast.NotEq(), item
        )
        assert isinstance(test, ir.Expr)
        result = test if result is None else ir.Logical(
            "or" if wanted else "and", result, test, loc=scope.loc(node), type=BOOL
        )  # fmt: skip
    if result is None:
        return _known(scope, not wanted)
    return result, scope.env, _copy(scope.env)


def _items(scope: Scope, node: ast.expr) -> list[Value]:
    if isinstance(node, ast.Tuple):
        return [expression(scope, item) for item in node.elts]
    value = expression(scope, node)
    if isinstance(value, Static) and isinstance(value.value, tuple | list | set | frozenset | range):
        return [Static(item) for item in value.value]  # pyright: ignore[reportUnknownVariableType]
    raise scope.error(node, "`in` takes a tuple of constants or values")


def select(scope: Scope, node: ast.IfExp) -> Value:
    """`a if test else b`, with each side knowing what the test told; a known test leaves one side."""
    test, if_true, if_false = condition(scope, node.test)
    if isinstance(test, Static):
        scope.env = if_true if test.value else if_false
        return expression(scope, node.body if test.value else node.orelse)
    with scope.block(if_true) as then_out:
        then, then_env = expression(scope, node.body), scope.env
    with scope.block(if_false) as else_out:
        otherwise, else_env = expression(scope, node.orelse), scope.env
    scope.env = join(then_env, else_env)
    return _merge(scope, node, test, (then, then_out), (otherwise, else_out))


def _merge(
    scope: Scope,
    node: ast.IfExp,
    test: ir.Expr,
    then: tuple[Value, list[ir.Stmt]],
    otherwise: tuple[Value, list[ir.Stmt]],
) -> Value:
    a, b = same_type(scope, node, then[0], otherwise[0])
    kind = a.type
    if isinstance(a.type, ir.PointerType) and isinstance(b.type, ir.PointerType):
        kind = merge_pointers(a.type, b.type)
    elif a.type == b.type:
        b = fit(scope, node, b, _typed(a), "the other side")
    else:
        kind = None
    if kind is None or kind == NONE:
        raise scope.error(node, f"one side is {describe(then[0])}, the other {describe(otherwise[0])}")
    loc = scope.loc(node)
    if not then[1] and not otherwise[1]:
        literal = isinstance(kind, IntType) and all(_is_literal(side) for side in (then[0], otherwise[0]))
        return (LiteralSelect if literal else ir.Select)(test, a, b, loc=loc, type=kind)
    result = scope.temporary(kind)
    scope.emit(
        ir.If(
            test,
            [*then[1], ir.Assign(result, a, loc=loc)],
            [*otherwise[1], ir.Assign(result, b, loc=loc)],
            loc=loc,
        )
    )
    return ir.Var(result, loc=loc, type=kind)


def _is_literal(value: Value) -> bool:
    return isinstance(value, LiteralSelect) or (isinstance(value, Static) and isinstance(value.value, int))
