"""Loops.

What is known at a loop's head is what holds before it and after every round: found by lowering the body until
nothing changes, which takes twice where a round changes what is known, and once elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import condition
from penstock.compiler.frontend.convert import convert, fit
from penstock.compiler.frontend.expressions import bind_name
from penstock.compiler.frontend.flow import Env, join
from penstock.compiler.frontend.locks import release
from penstock.compiler.frontend.operators import numbers
from penstock.compiler.frontend.scope import STATEMENTS, Loop, Scope, body, expression, hold, lowers
from penstock.compiler.frontend.values import I64, U64, Static, Value, common_int, describe, is_number
from penstock.lang.types import BOOL, IntType


class Round(NamedTuple):
    """A loop as lowered once: what is known when it goes back to its head, and after it."""

    statements: list[ir.Stmt]
    back: Env | None
    after: Env | None


def _until_stable(scope: Scope, attempt: Callable[[], Round]) -> None:
    """Lower a loop until what is known at its head survives a round."""
    head = scope.env
    while True:
        scope.env = head
        statements, back, after = attempt()
        known = join(head, back)
        if known == head:
            scope.out += statements
            scope.env = after
            return
        head = known


def _body(scope: Scope, nodes: list[ast.stmt], env: Env | None) -> tuple[Loop, list[ir.Stmt], Env | None]:
    """Lower the body of a loop; also what is known where it goes back to the head."""
    loop = Loop(locks=len(scope.locks))
    scope.loops.append(loop)
    with scope.block(env) as statements:
        body(scope, nodes)
        back = join(scope.env, *loop.continues)
    scope.loops.pop()
    return loop, statements, back


@lowers(STATEMENTS, ast.While)
def lower_while(scope: Scope, node: ast.While) -> None:
    _until_stable(scope, lambda: _while_round(scope, node))


def _while_round(scope: Scope, node: ast.While) -> Round:
    loc = scope.loc(node)
    value, if_true, if_false = condition(scope, node.test)
    test = value if isinstance(value, ir.Expr) else ir.Const(int(if_true is not None), loc=loc, type=BOOL)
    if if_true is None:
        return Round([ir.Evaluate(test, loc=loc)], None, if_false)
    loop, statements, back = _body(scope, node.body, if_true)
    return Round([ir.While(test, statements, [], loc=loc)], back, join(if_false, *loop.breaks))


@dataclass(frozen=True)
class _Counting:
    """A `for` loop: a hidden counter of 64 bits runs to `end`, so that it ends whatever `kind` can hold."""

    kind: IntType
    counter: ir.Var
    end: ir.Var
    step: int
    may_wrap: bool


@lowers(STATEMENTS, ast.For)
def lower_for(scope: Scope, node: ast.For) -> None:
    counting = _start(scope, node)
    _until_stable(scope, lambda: _for_round(scope, node, counting))


def _start(scope: Scope, node: ast.For) -> _Counting:
    """Evaluate the range and set the counter to its start."""
    start, stop, step = _range(scope, node.iter)
    kind = _counter_type(scope, node, start, stop, step)
    wide = I64 if kind.signed else U64
    first, last = (
        fit(scope, node.iter, start, kind, "the start"),
        fit(scope, node.iter, stop, kind, "the end"),
    )
    first, last = (convert(scope, node.iter, value, wide) for value in (first, last))
    held = hold("counter", first), hold("end", last)
    for assign, _ in held:
        scope.emit(assign)
    reach = last.value + step if isinstance(last, ir.Const) else None
    may_wrap = kind == wide and abs(step) > 1 and (reach is None or not wide.minimum <= reach <= wide.maximum)
    return _Counting(kind, held[0][1], held[1][1], step, may_wrap)


def _range(scope: Scope, node: ast.expr) -> tuple[Value, Value, int]:
    assert isinstance(node, ast.Call)
    called = expression(scope, node.func)
    if not isinstance(called, Static) or called.value is not range:
        raise scope.error(node, "`range` is another name's here: loops go over Python's own")
    if len(node.args) > 3:
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
    name = node.target.id
    var = scope.variables.get(name)
    kind = scope.declared.get(name) or (var and var.type)
    if kind and not is_number(kind):
        raise scope.error(node.target, f"{name} is {kind}, and cannot count")
    kind = kind or _natural_type(scope, node, start, stop, step)
    if step < 0 and not kind.signed:
        raise scope.error(node.iter, f"counting down ends below 0: the counter must be signed, not {kind}")
    return kind


def _natural_type(scope: Scope, node: ast.For, start: Value, stop: Value, step: int) -> IntType:
    """The type of a counter that no name or annotation gives one."""
    if not isinstance(start, Static) or not isinstance(stop, Static):
        return numbers(scope, node.iter, start, stop, "range from {} to {}")[2]
    bounds = [value.value for value in (start, stop) if isinstance(value.value, int)]
    if len(bounds) != 2:
        raise scope.error(node.iter, f"range from {describe(start)} to {describe(stop)}: give whole numbers")
    return common_int([*bounds, step])


def _for_round(scope: Scope, node: ast.For, counting: _Counting) -> Round:
    assert isinstance(node.target, ast.Name)
    loc, now, before = scope.loc(node), counting.counter, scope.env
    kind = counting.kind
    value = now if now.type == kind else ir.Convert(now, loc=loc, type=kind)
    bound = bind_name(scope, node.target, value, node.target)
    assert isinstance(bound, ir.Assign)
    loop, statements, back = _body(scope, node.body, scope.env)
    test = ir.Compare("lt" if counting.step > 0 else "gt", now, counting.end, loc=loc, type=BOOL)
    step = ir.Assign(now.var, _next(counting), loc=loc)
    statement = ir.While(test, [bound, *statements], [step], loc=loc)
    return Round([statement], back, join(before, back, *loop.breaks))


def _next(counting: _Counting) -> ir.Expr:
    """The counter after a step; the end, if that is less than a step away and 64 bits may not hold more."""
    now, end, loc, wide = counting.counter, counting.end, counting.counter.loc, counting.counter.type
    assert wide is not None
    size = ir.Const(abs(counting.step), loc=loc, type=wide)
    up = counting.step > 0
    forward = ir.Binary("add" if up else "sub", now, size, loc=loc, type=wide)
    if not counting.may_wrap:
        return forward
    left = ir.Binary("sub", *((end, now) if up else (now, end)), loc=loc, type=wide)
    rest = left if wide == U64 else ir.Convert(left, loc=loc, type=U64)
    close = ir.Compare("lt", rest, ir.Const(size.value, loc=loc, type=U64), loc=loc, type=BOOL)
    return ir.Select(close, end, forward, loc=loc, type=wide)


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
