"""Statements other than loops and locks."""

from __future__ import annotations

import ast
from types import FunctionType
from typing import cast

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import condition
from penstock.compiler.frontend.convert import fit, settle
from penstock.compiler.frontend.expressions import (
    bind_name,
    place,
    pointee,
    property_of,
    reference,
    value_at,
)
from penstock.compiler.frontend.flow import join
from penstock.compiler.frontend.functions import call_accessor
from penstock.compiler.frontend.locks import release
from penstock.compiler.frontend.operators import binary
from penstock.compiler.frontend.scope import STATEMENTS, Scope, body, expression, hold, lowers
from penstock.compiler.frontend.storage import write
from penstock.compiler.frontend.values import (
    Value,
    annotated_type,
    describe,
    is_number,
    is_scalar,
)
from penstock.lang.program import ContextField
from penstock.lang.types import Type

_EFFECTS = (ir.Call, ir.HelperCall, ir.KfuncCall, ir.Atomic, ir.RingReserve, ir.AssignExpr)


@lowers(STATEMENTS, ast.Pass)
def lower_pass(_scope: Scope, _node: ast.Pass) -> None:
    """Nothing to do."""


@lowers(STATEMENTS, ast.Expr)
def lower_expression(scope: Scope, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant):  # the docstring
        return
    value = expression(scope, node.value)
    if not isinstance(value, _EFFECTS):
        raise scope.error(node, "this has no effect: assign it, or leave it away")
    scope.emit(ir.Evaluate(value, loc=scope.loc(node)))


@lowers(STATEMENTS, ast.Assign)
def lower_assign(scope: Scope, node: ast.Assign) -> None:
    target = node.targets[0]
    if not isinstance(target, ast.Tuple):
        _assign_to(scope, target, expression(scope, node.value), node.value)
    elif isinstance(node.value, ast.Tuple):
        _assign_each(scope, node, target.elts, node.value.elts)
    else:
        _unpack(scope, node, target.elts)


def _assign_to(scope: Scope, target: ast.expr, value: Value, origin: ast.AST) -> None:
    """Give `target` (a name, field or element) a value that is already lowered."""
    if isinstance(target, ast.Name):
        bound = bind_name(scope, target, value, origin)
        if isinstance(bound, ir.Assign):
            scope.emit(bound)
    elif isinstance(target, ast.Attribute | ast.Subscript):
        _assign_place(scope, target, value, origin)
    else:
        raise scope.error(target, "not in the language: assignment to this")


def _assign_place(scope: Scope, target: ast.Attribute | ast.Subscript, value: Value, origin: ast.AST) -> None:
    field = _context_field(scope, target)
    if field:
        _store_context(scope, target, field, value, origin)
        return
    if _is_property(scope, target):
        _write_property(scope, cast("ast.Attribute", target), value)
        return
    pointer = place(scope, target)
    kind = pointee(pointer)
    assert kind is not None
    wanted = kind if is_scalar(kind) else ir.PointerType(kind)
    expr = fit(scope, origin, value, wanted, ast.unparse(target))
    if not _is_plain(target) or _has_walrus(origin):  # the value is evaluated before the place
        assign, expr = hold("value", expr)
        scope.emit(assign)
    scope.emit(write(scope, target, pointer, expr))


def _write_property(scope: Scope, target: ast.Attribute, value: Value) -> None:
    owner = expression(scope, target.value)
    setter = cast("FunctionType | None", property_of(target, owner).fset)
    if setter is None:
        raise scope.error(target, f"{ast.unparse(target)} cannot be written")
    call = call_accessor(scope, target, setter, reference(scope, target, owner), value)
    scope.emit(ir.Evaluate(call, loc=scope.loc(target)))


def _is_property(scope: Scope, target: ast.expr) -> bool:
    if not isinstance(target, ast.Attribute):
        return False
    return property_of(target, expression(scope, target.value)).fget is not None


def _is_plain(target: ast.expr) -> bool:
    """Whether the address of a place is the same before and after anything else is evaluated."""
    match target:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute():
            return _is_plain(target.value)
        case ast.Subscript():
            return isinstance(target.slice, ast.Name | ast.Constant) and _is_plain(target.value)
        case _:
            return False


def _has_walrus(node: ast.AST) -> bool:
    return any(isinstance(part, ast.NamedExpr) for part in ast.walk(node))


def _context_field(scope: Scope, target: ast.expr) -> tuple[ir.Expr, ContextField] | None:
    """The packet and the field of its context that `target` names, if it names one."""
    if not isinstance(target, ast.Attribute):
        return None
    context = expression(scope, target.value)
    if not isinstance(context, ir.Expr) or not isinstance(context.type, ir.ContextType):
        return None
    found = getattr(context.type.of, target.attr, None)
    if not isinstance(found, ContextField) or not found.writable:
        raise scope.error(target, f"{ast.unparse(target)} cannot be written")
    return context, found


def _store_context(
    scope: Scope, target: ast.expr, field: tuple[ir.Expr, ContextField], value: Value, origin: ast.AST
) -> None:
    context, found = field
    expr = fit(scope, origin, value, found.type, ast.unparse(target))
    scope.emit(ir.ContextStore(context, found.offset, expr, loc=scope.loc(target)))


def _assign_each(scope: Scope, node: ast.Assign, targets: list[ast.expr], values: list[ast.expr]) -> None:
    """`a, b = b, a`: all values before any name changes."""
    if len(values) != len(targets):
        raise scope.error(node, f"{len(values)} values for {len(targets)} names")
    held: list[Value] = []
    for item in values:
        value = expression(scope, item)
        if isinstance(value, ir.Expr) and (is_scalar(value.type) or isinstance(value.type, ir.PointerType)):
            assign, value = hold("item", value)
            scope.emit(assign)
        held.append(value)
    for target, value, item in zip(targets, held, values, strict=True):
        _assign_to(scope, target, value, item)


def _unpack(scope: Scope, node: ast.Assign, targets: list[ast.expr]) -> None:
    call = expression(scope, node.value)
    parts = unpacked(scope, node, call)
    if len(parts) != len(targets):
        raise scope.error(node, f"{len(parts)} values for {len(targets)} names")
    for target, part in zip(targets, parts, strict=True):
        _assign_to(scope, target, part, target)


def unpacked(scope: Scope, node: ast.AST, call: Value) -> list[ir.Expr]:
    """The values of a call that returns several."""
    if not isinstance(call, ir.Call) or not isinstance(call.type, ir.TupleType):
        raise scope.error(node, f"{describe(call)} cannot be unpacked")
    parts = [ir.Variable("item", kind) for kind in call.type.items]
    scope.emit(ir.Unpack(parts, call, loc=scope.loc(node)))
    return [ir.Var(part, loc=call.loc, type=part.type) for part in parts]


@lowers(STATEMENTS, ast.AnnAssign)
def lower_annotated(scope: Scope, node: ast.AnnAssign) -> None:
    assert isinstance(node.target, ast.Name)
    name, hint = node.target.id, scope.source.annotation(node.annotation)
    kind = annotated_type(hint)
    if not is_scalar(kind) and not isinstance(kind, ir.PointerType):
        advice = ": say which integer, e.g. u32" if hint is int else ""
        raise scope.error(
            node.annotation, f"{ast.unparse(node.annotation)} is no type for a variable{advice}"
        )
    known = scope.declared.setdefault(name, kind)
    if known != kind:
        raise scope.error(node, f"{name} was declared as {known}")
    if node.value is not None:
        _assign_to(scope, node.target, expression(scope, node.value), node.value)


@lowers(STATEMENTS, ast.AugAssign)
def lower_augmented(scope: Scope, node: ast.AugAssign) -> None:
    target = node.target
    field = _context_field(scope, target)
    if isinstance(target, ast.Name) or field or _is_property(scope, target):
        value = binary(scope, node, node.op, expression(scope, target), expression(scope, node.value))
        if field:
            _store_context(scope, target, field, value, node)
        else:
            _assign_to(scope, target, value, node)
        return
    assign, pointer = hold("place", place(scope, target))
    scope.emit(assign)
    value = binary(scope, node, node.op, value_at(scope, target, pointer), expression(scope, node.value))
    scope.emit(ir.Store(pointer, settle(scope, node, value), loc=scope.loc(node)))


@lowers(STATEMENTS, ast.If)
def lower_if(scope: Scope, node: ast.If) -> None:
    test = condition(scope, node.test)
    if test.decided is not None:
        evaluate(scope, test.value)
        scope.env = test.if_true if test.decided else test.if_false
        body(scope, node.body if test.decided else node.orelse)
        return
    with scope.block(test.if_true) as then:
        body(scope, node.body)
        after_then = scope.env
    with scope.block(test.if_false) as otherwise:
        body(scope, node.orelse)
        after_else = scope.env
    scope.env = join(after_then, after_else)
    scope.emit(ir.If(settle(scope, node, test.value), then, otherwise, loc=scope.loc(node)))


def evaluate(scope: Scope, test: Value) -> None:
    """Evaluate a test whose outcome is known, if there is something to evaluate."""
    if isinstance(test, ir.Expr):
        scope.emit(ir.Evaluate(test, loc=test.loc))


@lowers(STATEMENTS, ast.Return)
def lower_return(scope: Scope, node: ast.Return) -> None:
    values = _results(scope, node)
    if scope.locks:
        values = [_held(scope, value) for value in values]
        release(scope, node, 0)
    scope.emit(ir.Return(values, loc=scope.loc(node)))
    scope.env = None


def _held(scope: Scope, value: ir.Expr) -> ir.Expr:
    assign, held = hold("result", value)
    scope.emit(assign)
    return held


def _results(scope: Scope, node: ast.Return) -> list[ir.Expr]:
    wanted, name = scope.function.result, scope.source.name
    value = node.value or ast.copy_location(ast.Constant(None), node)
    if wanted is None:
        if not isinstance(value, ast.Constant) or value.value is not None:
            raise scope.error(node, f"{name} is annotated to return nothing")
        return []
    if not isinstance(wanted, ir.TupleType):
        if isinstance(value, ast.Tuple):
            raise scope.error(node, f"{name} returns {wanted}, not {len(value.elts)} values")
        return [_result(scope, value, expression(scope, value), wanted)]
    if isinstance(value, ast.Tuple):
        parts = [(item, expression(scope, item)) for item in value.elts]
    else:
        parts = [(value, part) for part in unpacked(scope, value, expression(scope, value))]
    if len(parts) != len(wanted.items):
        raise scope.error(node, f"{name} returns {len(wanted.items)} values, not {len(parts)}")
    return [_result(scope, item, part, kind) for (item, part), kind in zip(parts, wanted.items, strict=True)]


def _result(scope: Scope, node: ast.expr, value: Value, wanted: Type) -> ir.Expr:
    what = f"the result of {scope.source.name}"
    if scope.result_any:
        value = _any_integer(scope, node, value, wanted)
    expr = fit(scope, node, value, wanted, what)
    if isinstance(expr.type, ir.PointerType) and expr.type.storages:
        raise scope.error(node, "this refers to the function's own stack, which is gone when it returns")
    return expr


def _any_integer(scope: Scope, node: ast.expr, value: Value, wanted: Type) -> Value:
    """The result of what is annotated `-> int`: an integer of any type."""
    if not isinstance(value, ir.Expr) or not is_number(value.type) or value.type == wanted:
        return value
    return ir.Convert(value, loc=scope.loc(node), type=wanted)
