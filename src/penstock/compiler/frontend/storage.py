"""Structs and arrays on the stack.

Each belongs to the place in the source that makes it, and is made again there: in a loop, what was made in an
earlier round is gone then, and names for it are lost.
"""

from __future__ import annotations

import ast

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.flow import refers_to, without
from penstock.compiler.frontend.scope import Scope, expression, hold
from penstock.compiler.frontend.values import Value, is_scalar
from penstock.lang.maps import holds_opaque
from penstock.lang.struct import Struct
from penstock.lang.types import ArrayType, Type


def make_array(scope: Scope, node: ast.AST, kind: ArrayType) -> ir.Expr:
    """`zeros(u8, 64)`."""
    return _make(scope, node, scope.storage(node, kind, "array"), [])


def make_struct(scope: Scope, node: ast.Call, struct: type[Struct]) -> ir.Expr:
    """`Key(port=80)`: zeroed, then the fields that are given."""
    if node.args:
        raise scope.error(node.args[0], f"fields of {struct.__name__} are given by name")
    storage = scope.storage(node, struct.__layout__, struct.__name__)
    fields: list[tuple[ir.Expr, ir.Expr]] = []
    for keyword in node.keywords:
        field = struct.__layout__.fields.get(keyword.arg or "")
        if field is None:
            raise scope.error(keyword.value, f"{struct.__name__} has no field {keyword.arg!r}")
        kind = field.type if is_scalar(field.type) else ir.PointerType(field.type)
        value = fit(scope, keyword.value, expression(scope, keyword.value), kind, field.name)
        pointer = ir.PointerType(field.type, local=True, storages=frozenset({storage}))
        base = address(scope, node, storage)
        place = ir.FieldAddress(base, field.name, field.offset, loc=scope.loc(keyword.value), type=pointer)
        fields.append((place, value))
    return _make(scope, node, storage, fields)


def _make(scope: Scope, node: ast.AST, storage: ir.Storage, fields: list[tuple[ir.Expr, ir.Expr]]) -> ir.Expr:
    assert scope.env is not None
    before: list[ir.Stmt] = []
    if any(refers_to(known, storage) for known in scope.env.values()):
        fields = [(place, _kept(value, storage, before)) for place, value in fields]
    scope.env = without(scope.env, storage)
    stores = [write(scope, node, place, value) for place, value in fields]
    pointer = address(scope, node, storage)
    zero = ir.Zero(storage, loc=pointer.loc)
    return ir.Sequence([*before, zero, *stores], pointer, loc=pointer.loc, type=pointer.type)


def _kept(value: ir.Expr, storage: ir.Storage, before: list[ir.Stmt]) -> ir.Expr:
    """`value`, evaluated before `storage` is made anew; copied, if it is part of what was there."""
    if isinstance(value.type, ir.PointerType) and value.type.to and refers_to(value.type, storage):
        copy = ir.Storage("copy", value.type.to)
        pointer = ir.PointerType(copy.type, local=True, storages=frozenset({copy}))
        target = ir.StorageAddress(copy, loc=value.loc, type=pointer)
        before.append(ir.Copy(target, value, loc=value.loc))
        return target
    assign, held = hold("kept", value)
    before.append(assign)
    return held


def write(scope: Scope, node: ast.AST, place: ir.Expr, value: ir.Expr) -> ir.Stmt:
    """Write a scalar to memory, or copy a struct or array."""
    if not isinstance(value.type, ir.PointerType):
        return ir.Store(place, value, loc=place.loc)
    if value.type.to and holds_opaque(value.type.to):
        raise scope.error(node, f"{value.type} has a lock or timer in it: copy its other fields one by one")
    return ir.Copy(place, value, loc=place.loc)


def address(scope: Scope, node: ast.AST, storage: ir.Storage) -> ir.Expr:
    """Pointer to storage."""
    pointer = ir.PointerType(storage.type, local=True, storages=frozenset({storage}))
    return ir.StorageAddress(storage, loc=scope.loc(node), type=pointer)


def in_memory(scope: Scope, node: ast.AST, value: Value, kind: Type, what: str) -> ir.Expr:
    """A pointer to `value`: itself if it is in memory, or to a copy on the stack."""
    if not is_scalar(kind):
        return fit(scope, node, value, ir.PointerType(kind), what)
    expr = fit(scope, node, value, kind, what)
    pointer = address(scope, node, scope.storage(node, kind, what))
    return ir.Sequence([write(scope, node, pointer, expr)], pointer, loc=pointer.loc, type=pointer.type)
