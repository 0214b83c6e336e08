"""Statements other than loops."""

from __future__ import annotations

import ast
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import condition
from penstock.compiler.frontend.convert import constant, fit, materialise
from penstock.compiler.frontend.expressions import binary, context_class, place, require_value, value_at
from penstock.compiler.frontend.flow import join
from penstock.compiler.frontend.names import evaluate
from penstock.compiler.frontend.scope import STATEMENTS, Scope, body, expression, lowers
from penstock.compiler.frontend.values import (
    LiteralSelect,
    Static,
    Value,
    annotated_type,
    describe,
    is_scalar,
)
from penstock.lang.program import ContextField
from penstock.lang.types import IntType, SpinLock

SPIN_LOCK, SPIN_UNLOCK = ("spin_lock", 93, (5, 1)), ("spin_unlock", 94, (5, 1))


@lowers(STATEMENTS, ast.Pass)
def lower_pass(scope: Scope, node: ast.Pass) -> None:
    """Nothing to do."""


@lowers(STATEMENTS, ast.Expr)
def lower_expression(scope: Scope, node: ast.Expr) -> None:
    value = expression(scope, node.value)
    if isinstance(value, Static):
        if not (isinstance(node.value, ast.Constant) and isinstance(value.value, str)):
            if not isinstance(node.value, ast.Call):
                raise scope.error(node, "this expression has no effect")
        return
    scope.emit(ir.Evaluate(value, loc=scope.loc(node)))


@lowers(STATEMENTS, ast.Assign)
def lower_assign(scope: Scope, node: ast.Assign) -> None:
    if len(node.targets) > 1:
        raise scope.error(node, "not in the language: several targets in one assignment")
    target = node.targets[0]
    if isinstance(target, ast.Tuple):
        _unpack(scope, node, target)
        return
    assign_to(scope, target, expression(scope, node.value), node.value)


def assign_to(scope: Scope, target: ast.expr, value: Value, origin: ast.AST) -> None:
    """Give `target` (a name, field or element) a value that is already lowered."""
    if isinstance(target, ast.Name):
        _assign_name(scope, target, value, origin)
    elif isinstance(target, ast.Attribute | ast.Subscript):
        _assign_place(scope, target, value, origin)
    else:
        raise scope.error(target, "not in the language: assignment to this")


def _assign_name(scope: Scope, target: ast.Name, value: Value, origin: ast.AST) -> None:
    name = target.id
    var = scope.variables.get(name)
    kind = scope.declared.get(name) or (var.type if var else None)
    if (
        isinstance(value, Static)
        and not isinstance(value.value, int | None)
        and kind is None
        and _is_name(value.value)
    ):
        assert scope.env is not None
        scope.env[name] = value
        return
    if kind is not None:
        wanted = ir.PointerType(kind.to, nullable=True) if isinstance(kind, ir.PointerType) and var else kind
        expr = fit(scope, origin, value, wanted, name)
    else:
        expr = materialise(scope, origin, value)
    require_value(scope, origin, expr)
    if isinstance(expr.type, ir.ContextType):
        raise scope.error(origin, "a packet cannot be given another name")
    scope.emit(ir.Assign(scope.assign(target, name, expr), expr, loc=scope.loc(target)))


def _is_name(value: Any) -> bool:
    """Whether a name for this is a name for something static (a type, a map, a function), not a variable."""
    return annotated_type(value) is not None or not hasattr(value, "type")


def _assign_place(scope: Scope, target: ast.Attribute | ast.Subscript, value: Value, origin: ast.AST) -> None:
    if isinstance(target, ast.Attribute) and _assign_context(scope, target, value, origin):
        return
    pointer = place(scope, target)
    assert isinstance(pointer.type, ir.PointerType)
    kind = pointer.type.to
    assert kind is not None
    what = ast.unparse(target)
    if is_scalar(kind):
        scope.emit(ir.Store(pointer, fit(scope, origin, value, kind, what), loc=scope.loc(target)))
        return
    source = fit(scope, origin, value, ir.PointerType(kind), what)
    scope.emit(ir.Copy(pointer, source, loc=scope.loc(target)))


def _assign_context(scope: Scope, target: ast.Attribute, value: Value, origin: ast.AST) -> bool:
    context = expression(scope, target.value)
    if isinstance(context, Static) or not isinstance(context.type, ir.ContextType):
        return False
    found = getattr(context_class(context), target.attr, None)
    if not isinstance(found, ContextField) or not found.writable:
        raise scope.error(target, f"{ast.unparse(target)} cannot be written")
    expr = fit(scope, origin, value, found.type, ast.unparse(target))
    scope.emit(ir.ContextStore(context, found.offset, expr, loc=scope.loc(target)))
    return True


def _unpack(scope: Scope, node: ast.Assign, target: ast.Tuple) -> None:
    names = [item.id for item in target.elts if isinstance(item, ast.Name)]
    if len(names) != len(target.elts):
        raise scope.error(target, "a tuple is unpacked into names")
    if isinstance(node.value, ast.Tuple):
        _assign_each(scope, node, target, node.value)
        return
    call = expression(scope, node.value)
    if not isinstance(call, ir.Call) or not isinstance(call.type, ir.TupleType):
        raise scope.error(node.value, f"{describe(call)} cannot be unpacked")
    kinds = call.type.items
    if len(kinds) != len(names):
        raise scope.error(target, f"{len(kinds)} values for {len(names)} names")
    parts = [scope.temporary(kind) for kind in kinds]
    scope.emit(ir.Unpack(parts, call, loc=scope.loc(node)))
    for item, part in zip(target.elts, parts, strict=True):
        assign_to(scope, item, ir.Var(part, loc=scope.loc(item), type=part.type), item)


def _assign_each(scope: Scope, node: ast.Assign, target: ast.Tuple, values: ast.Tuple) -> None:
    """`a, b = b, a`: all values before any name changes."""
    if len(values.elts) != len(target.elts):
        raise scope.error(node, f"{len(values.elts)} values for {len(target.elts)} names")
    held: list[Value] = []
    for item in values.elts:
        value = expression(scope, item)
        if not isinstance(value, Static):
            require_value(scope, item, value)
            part = scope.temporary(_kind(value))
            scope.emit(ir.Assign(part, value, loc=scope.loc(item)))
            value = ir.Var(part, loc=scope.loc(item), type=value.type)
        held.append(value)
    for item, value in zip(target.elts, held, strict=True):
        assign_to(scope, item, value, item)


def _kind(value: ir.Expr) -> Any:
    return value.type


@lowers(STATEMENTS, ast.AnnAssign)
def lower_annotated(scope: Scope, node: ast.AnnAssign) -> None:
    if not isinstance(node.target, ast.Name):
        raise scope.error(node, "not in the language: an annotation on a field or element")
    kind = annotated_type(evaluate(scope, node.annotation))
    if kind is None:
        raise scope.error(node.annotation, f"{ast.unparse(node.annotation)} is no type for a variable")
    name = node.target.id
    known = scope.declared.setdefault(name, kind)
    if known != kind:
        raise scope.error(node, f"{name} was declared as {known.name}")
    if node.value is not None:
        assign_to(scope, node.target, expression(scope, node.value), node.value)


@lowers(STATEMENTS, ast.AugAssign)
def lower_augmented(scope: Scope, node: ast.AugAssign) -> None:
    if isinstance(node.target, ast.Name):
        value = binary(scope, node, node.op, expression(scope, node.target), expression(scope, node.value))
        assign_to(scope, node.target, value, node)
        return
    if isinstance(node.target, ast.Attribute):
        context = expression(scope, node.target.value)
        if not isinstance(context, Static) and isinstance(context.type, ir.ContextType):
            value = binary(
                scope, node, node.op, expression(scope, node.target), expression(scope, node.value)
            )
            _assign_context(scope, node.target, value, node)
            return
    pointer = _once(scope, node, place(scope, node.target))
    old = value_at(scope, node.target, pointer)
    value = binary(scope, node, node.op, old, expression(scope, node.value))
    assert isinstance(value, ir.Expr)
    scope.emit(ir.Store(pointer, value, loc=scope.loc(node)))


def _once(scope: Scope, node: ast.AST, pointer: ir.Expr) -> ir.Expr:
    """A pointer that is evaluated here, once, and may be used twice."""
    held = scope.temporary(_kind(pointer))
    scope.emit(ir.Assign(held, pointer, loc=scope.loc(node)))
    return ir.Var(held, loc=scope.loc(node), type=pointer.type)


@lowers(STATEMENTS, ast.If)
def lower_if(scope: Scope, node: ast.If) -> None:
    test, if_true, if_false = condition(scope, node.test)
    if isinstance(test, Static):
        scope.env = if_true if test.value else if_false
        body(scope, node.body if test.value else node.orelse)
        return
    with scope.block(if_true) as then:
        body(scope, node.body)
        after_then = scope.env
    with scope.block(if_false) as otherwise:
        body(scope, node.orelse)
        after_else = scope.env
    scope.env = join(after_then, after_else)
    scope.emit(ir.If(test, then, otherwise, loc=scope.loc(node)))


@lowers(STATEMENTS, ast.Return)
def lower_return(scope: Scope, node: ast.Return) -> None:
    values = _results(scope, node)
    loc = scope.loc(node)
    if scope.locks:
        values = [_once(scope, node, value) for value in values]
        release(scope, node, 0)
    scope.emit(ir.Return(values, loc=loc))
    scope.env = None


def _results(scope: Scope, node: ast.Return) -> list[ir.Expr]:
    wanted = scope.function.result
    if node.value is None or wanted is None:
        if node.value is not None and not _is_none(node.value):
            raise scope.error(node, f"{scope.source.tree.name} is annotated to return nothing")
        if wanted is not None and not isinstance(wanted, ir.PointerType):
            raise scope.error(node, f"{scope.source.tree.name} returns {wanted.name}")
    if wanted is None:
        return []
    if node.value is None:
        return [constant(scope, node, None, wanted)]
    if isinstance(wanted, ir.TupleType):
        if not isinstance(node.value, ast.Tuple) or len(node.value.elts) != len(wanted.items):
            raise scope.error(node, f"{scope.source.tree.name} returns {len(wanted.items)} values")
        return [_result(scope, item, kind) for item, kind in zip(node.value.elts, wanted.items, strict=True)]
    return [_result(scope, node.value, wanted)]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _result(scope: Scope, node: ast.expr, wanted: Any) -> ir.Expr:
    value = expression(scope, node)
    if scope.result_any and not isinstance(value, Static | LiteralSelect) and isinstance(value.type, IntType):
        value = value if value.type == wanted else ir.Convert(value, loc=scope.loc(node), type=wanted)
    elif scope.result_any and isinstance(value, Static) and isinstance(value.value, int):
        value = Static(wanted.wrap(int(value.value)))
    expr = fit(scope, node, value, wanted, f"the result of {scope.source.tree.name}")
    if isinstance(expr.type, ir.PointerType) and expr.type.local:
        raise scope.error(node, "this refers to the function's own stack, which is gone when it returns")
    return expr


@lowers(STATEMENTS, ast.With)
def lower_with(scope: Scope, node: ast.With) -> None:
    """`with value.lock:` holds a spin lock."""
    if len(node.items) != 1 or node.items[0].optional_vars is not None:
        raise scope.error(node, "not in the language: with, except `with value.lock:`")
    lock = expression(scope, node.items[0].context_expr)
    if (
        isinstance(lock, Static)
        or not isinstance(lock.type, ir.PointerType)
        or lock.type.to is not _spin_lock()
    ):
        raise scope.error(node, f"`with` holds spin locks, this is {describe(lock)}")
    lock = _once(scope, node, lock)
    _lock_call(scope, node, SPIN_LOCK, lock)
    scope.locks.append(lock)
    body(scope, node.body)
    if scope.env is not None:
        _lock_call(scope, node, SPIN_UNLOCK, lock)
    scope.locks.pop()


def _spin_lock() -> Any:
    return SpinLock


def release(scope: Scope, node: ast.AST, outside: int) -> None:
    """Give back the locks taken since `outside` were held, as every way out of their block must."""
    for lock in reversed(scope.locks[outside:]):
        _lock_call(scope, node, SPIN_UNLOCK, lock)


def _lock_call(scope: Scope, node: ast.AST, helper: tuple[str, int, tuple[int, int]], lock: ir.Expr) -> None:
    name, number, since = helper
    loc = scope.loc(node)
    scope.emit(ir.Evaluate(ir.HelperCall(name, number, since, [lock], loc=loc, type=None), loc=loc))
