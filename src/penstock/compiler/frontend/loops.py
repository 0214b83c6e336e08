"""Loops. What is known at a loop's head is what holds before it and after every round: found by lowering the
body until nothing changes (twice, as a rule: the first round only teaches what the second must assume).
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import condition
from penstock.compiler.frontend.convert import fit, materialise, same_type
from penstock.compiler.frontend.flow import Env, join
from penstock.compiler.frontend.scope import STATEMENTS, Loop, Scope, body, expression, lowers
from penstock.compiler.frontend.statements import assign_to, release
from penstock.compiler.frontend.values import Static, Value, describe
from penstock.lang.types import BOOL, IntType, i64, u64


@lowers(STATEMENTS, ast.While)
def lower_while(scope: Scope, node: ast.While) -> None:
    if node.orelse:
        raise scope.error(node.orelse[0], "not in the language: else after a loop")
    _until_stable(scope, lambda: _while_round(scope, node))


def _until_stable(scope: Scope, attempt: Callable[[], tuple[list[ir.Stmt], Env | None, Env | None]]) -> None:
    """Lower a loop until what is known at its head survives a round."""
    head = scope.env
    while True:
        with scope.block(head):
            statements, back, after = attempt()
        known = join(head, back) if back is not None else head
        if known == head:
            scope.out.extend(statements)
            scope.env = after
            return
        head = known


def _while_round(scope: Scope, node: ast.While) -> tuple[list[ir.Stmt], Env | None, Env | None]:
    loc = scope.loc(node)
    loop = Loop(locks=len(scope.locks))
    with scope.block(scope.env) as before:
        test, if_true, if_false = condition(scope, node.test)
    scope.loops.append(loop)
    with scope.block(if_true) as rounds:
        body(scope, node.body)
        end = scope.env
    scope.loops.pop()
    back, after = join(end, *loop.continues), join(if_false, *loop.breaks)
    if isinstance(test, Static) and not test.value:
        return before, None, after
    always = ir.Const(1, loc=loc, type=BOOL)
    if before:  # the test has statements of its own: they run in every round
        leave = ir.If(test if isinstance(test, ir.Expr) else always, [], [ir.Break(loc=loc)], loc=loc)
        return [ir.While(always, [*before, leave, *rounds], [], loc=loc)], back, after
    return [ir.While(test if isinstance(test, ir.Expr) else always, rounds, [], loc=loc)], back, after


@lowers(STATEMENTS, ast.For)
def lower_for(scope: Scope, node: ast.For) -> None:
    """`for i in range(…)`: a hidden counter of 64 bits, so that it ends as Python's does whatever `i` can hold."""
    if node.orelse:
        raise scope.error(node.orelse[0], "not in the language: else after a loop")
    if not isinstance(node.target, ast.Name):
        raise scope.error(node.target, "a loop counts in one name")
    start, stop, step = _range(scope, node.iter)
    kind = _counter_type(scope, node, start, stop, step)
    wide = _wide(kind)
    first = _widen(scope, node, fit(scope, node.iter, start, kind, "the start"), wide)
    last = _widen(scope, node, fit(scope, node.iter, stop, kind, "the end"), wide)
    counter, end = scope.temporary(wide), scope.temporary(wide)
    loc = scope.loc(node)
    scope.emit(ir.Assign(counter, first, loc=loc))
    scope.emit(ir.Assign(end, last, loc=loc))
    _until_stable(scope, lambda: _for_round(scope, node, counter, end, step, kind))


def _for_round(
    scope: Scope, node: ast.For, counter: ir.Variable, end: ir.Variable, step: int, kind: IntType
) -> tuple[list[ir.Stmt], Env | None, Env | None]:
    loc = scope.loc(node)
    wide: Any = counter.type
    now = ir.Var(counter, loc=loc, type=wide)
    test = ir.Compare("lt" if step > 0 else "gt", now, ir.Var(end, loc=loc, type=wide), loc=loc, type=BOOL)
    loop = Loop(locks=len(scope.locks))
    before = scope.env
    scope.loops.append(loop)
    with scope.block(before) as rounds:
        assign_to(
            scope, node.target, now if wide == kind else ir.Convert(now, loc=loc, type=kind), node.target
        )
        body(scope, node.body)
        back = join(scope.env, *loop.continues)
    scope.loops.pop()
    by = ir.Const(abs(step), loc=loc, type=wide)
    forward = ir.Binary("add" if step > 0 else "sub", now, by, loc=loc, type=wide)
    loop_statement = ir.While(test, rounds, [ir.Assign(counter, forward, loc=loc)], loc=loc)
    return [loop_statement], back, join(before, back, *loop.breaks)


def _range(scope: Scope, node: ast.expr) -> tuple[Value, Value, int]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
        raise scope.error(node, "for loops go over range(…)")
    if node.keywords or not 1 <= len(node.args) <= 3:
        raise scope.error(node, "range takes one to three numbers")
    values = [expression(scope, arg) for arg in node.args]
    if len(values) == 1:
        return Static(0), values[0], 1
    step = values[2] if len(values) == 3 else Static(1)
    if not isinstance(step, Static) or not isinstance(step.value, int) or step.value == 0:
        raise scope.error(node, "the step of a range is a constant other than 0")
    return values[0], values[1], step.value


def _counter_type(scope: Scope, node: ast.For, start: Value, stop: Value, step: int) -> IntType:
    assert isinstance(node.target, ast.Name)
    var = scope.variables.get(node.target.id)
    kind: Any = scope.declared.get(node.target.id) or (var.type if var else None)
    if kind is None and isinstance(start, Static) and isinstance(stop, Static):
        kind = i64 if min(start.value, stop.value) < 0 or step < 0 else u64
    elif kind is None:
        left, _ = same_type(scope, node.iter, start, stop)
        kind = left.type
    if not isinstance(kind, IntType) or kind.big_endian:
        raise scope.error(node.iter, f"range over {describe(start)} and {describe(stop)}")
    if step < 0 and not kind.signed:
        raise scope.error(node.iter, f"counting down ends below 0: the counter must be signed, not {kind}")
    return kind


def _wide(kind: IntType) -> Any:
    return i64 if kind.signed else u64


def _widen(scope: Scope, node: ast.AST, value: ir.Expr, wide: Any) -> ir.Expr:
    expr = materialise(scope, node, value)
    return expr if expr.type == wide else ir.Convert(expr, loc=scope.loc(node), type=wide)


@lowers(STATEMENTS, ast.Break)
def lower_break(scope: Scope, node: ast.Break) -> None:
    loop = scope.loops[-1]
    release(scope, node, loop.locks)
    loop.breaks.append(scope.env)
    scope.emit(ir.Break(loc=scope.loc(node)))
    scope.env = None


@lowers(STATEMENTS, ast.Continue)
def lower_continue(scope: Scope, node: ast.Continue) -> None:
    loop = scope.loops[-1]
    release(scope, node, loop.locks)
    loop.continues.append(scope.env)
    scope.emit(ir.Continue(loc=scope.loc(node)))
    scope.env = None
