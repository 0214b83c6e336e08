"""What makes a value true, and what its truth tells of names."""

from __future__ import annotations

import ast
from typing import NamedTuple

from penstock.compiler import ir
from penstock.compiler.frontend.convert import settle
from penstock.compiler.frontend.flow import Env, not_none
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.values import Static, Value, describe
from penstock.lang.maps import MapSpec
from penstock.lang.types import BOOL, BoolType, IntType, Type


class Condition(NamedTuple):
    """A truth value, and what is known where it is true and where it is false (None: it never is)."""

    value: Value
    if_true: Env | None
    if_false: Env | None

    @property
    def decided(self) -> bool | None:
        """Which way it always goes, if that is known; it may have to be evaluated all the same."""
        return None if self.if_true is not None and self.if_false is not None else self.if_true is not None


def known(scope: Scope, value: Value, *, truth: bool) -> Condition:
    """A condition that always goes one way."""
    return Condition(value, scope.env if truth else None, None if truth else scope.env)


def truth(scope: Scope, node: ast.expr, value: Value) -> Condition:
    """`value` as a condition; `node` is what it was lowered from. A static value stays what it is."""
    if isinstance(value, Static):
        return known(scope, value, truth=_static_truth(scope, node, value))
    expr = settle(scope, node, value)
    if isinstance(expr.type, ir.PointerType):
        return test_none(scope, node, node, expr, is_none=False)
    if isinstance(expr.type, BoolType):
        return Condition(expr, scope.env, scope.env)
    if isinstance(expr.type, IntType):
        return Condition(ir.Convert(expr, loc=scope.loc(node), type=BOOL), scope.env, scope.env)
    raise scope.error(node, f"{describe(value)} is neither true nor false")


def _static_truth(scope: Scope, node: ast.expr, value: Static) -> bool:
    if callable(value.value) or isinstance(value.value, MapSpec | Type):
        raise scope.error(node, f"{ast.unparse(node)} is always true: test what it gives")
    try:
        return bool(value.value)
    except Exception as error:  # noqa: BLE001  # whatever an object of the user's may raise
        raise scope.error(node, f"{ast.unparse(node)} is neither true nor false: {error}") from None


def test_none(
    scope: Scope, node: ast.AST, name_node: ast.expr, subject: ir.Expr, *, is_none: bool
) -> Condition:
    """Whether a reference is None; `name_node` is what it was lowered from."""
    assert isinstance(subject.type, ir.PointerType)
    loc = scope.loc(node)
    null = ir.Null(loc=loc, type=subject.type)
    test = ir.Compare("eq" if is_none else "ne", subject, null, loc=loc, type=BOOL)
    if not subject.type.nullable:
        plain = isinstance(subject, ir.Var)
        return known(scope, Static(not is_none) if plain else test, truth=not is_none)
    present, absent = _narrowed(scope.env, name_node), scope.env
    return Condition(test, absent, present) if is_none else Condition(test, present, absent)


def _narrowed(env: Env | None, node: ast.expr) -> Env | None:
    name = node.target if isinstance(node, ast.NamedExpr) else node
    return not_none(env, name.id) if env is not None and isinstance(name, ast.Name) else env
