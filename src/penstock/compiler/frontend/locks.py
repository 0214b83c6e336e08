"""`with value.lock:` holds a spin lock, and gives it back on every way out."""

from __future__ import annotations

import ast

from penstock.compiler import ir
from penstock.compiler.frontend.scope import STATEMENTS, Scope, body, expression, hold, lowers
from penstock.compiler.frontend.values import describe
from penstock.lang.types import SpinLock, resolve

_SPIN_LOCK = resolve(SpinLock)


@lowers(STATEMENTS, ast.With)
def lower_with(scope: Scope, node: ast.With) -> None:
    lock = expression(scope, node.items[0].context_expr)
    if (
        not isinstance(lock, ir.Expr)
        or not isinstance(lock.type, ir.PointerType)
        or lock.type.to != _SPIN_LOCK
    ):
        raise scope.error(node.items[0].context_expr, f"`with` holds a spin lock, this is {describe(lock)}")
    assign, held = hold("lock", lock)
    scope.emit(assign)
    _call(scope, node, "spin_lock", 93, held)
    scope.locks.append(held)
    body(scope, node.body)
    if scope.env is not None:
        _call(scope, node, "spin_unlock", 94, held)
    scope.locks.pop()


def release(scope: Scope, node: ast.AST, outside: int) -> None:
    """Give back the locks taken since `outside` were held."""
    for lock in reversed(scope.locks[outside:]):
        _call(scope, node, "spin_unlock", 94, lock)


def _call(scope: Scope, node: ast.AST, name: str, number: int, lock: ir.Expr) -> None:
    loc = scope.loc(node)
    scope.emit(ir.Evaluate(ir.HelperCall(name, number, (5, 1), [lock], loc=loc, type=None), loc=loc))
