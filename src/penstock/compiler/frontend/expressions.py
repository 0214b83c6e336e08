"""Names, constants, attributes and elements."""

from __future__ import annotations

import ast
import operator
from types import FunctionType
from typing import Any, cast

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit, settle
from penstock.compiler.frontend.flow import Lost
from penstock.compiler.frontend.functions import call_accessor
from penstock.compiler.frontend.operators import fold
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.source import MISSING
from penstock.compiler.frontend.values import (
    NONE,
    U32,
    U64,
    Static,
    Value,
    describe,
    is_number,
    is_scalar,
)
from penstock.lang.maps import Global, MapSpec
from penstock.lang.program import ContextField, Packet, Xdp
from penstock.lang.struct import Struct, StructType
from penstock.lang.types import ArrayType, BigEndian, Type


@lowers(EXPRESSIONS, ast.Constant)
def lower_constant(_scope: Scope, node: ast.Constant) -> Value:
    return Static(node.value)


@lowers(EXPRESSIONS, ast.Name)
def lower_name(scope: Scope, node: ast.Name) -> Value:
    if node.id in scope.source.local_names:
        return _local(scope, node)
    value = scope.source.find(node.id)
    if value is MISSING:
        raise scope.error(node, f"{node.id} is not defined")
    return Static(value)


def _local(scope: Scope, node: ast.Name) -> Value:
    assert scope.env is not None
    known = scope.env.get(node.id)
    if known is None:
        raise scope.error(node, f"{node.id} may be unassigned here")
    if isinstance(known, Lost):
        raise scope.error(node, f"{node.id} {known.why}")
    if isinstance(known, Static):
        return known
    return (
        Static(None) if known == NONE else ir.Var(scope.variables[node.id], loc=scope.loc(node), type=known)
    )


@lowers(EXPRESSIONS, ast.NamedExpr)
def lower_walrus(scope: Scope, node: ast.NamedExpr) -> Value:
    bound = bind_name(scope, node.target, expression(scope, node.value), node.value)
    if isinstance(bound, Static):
        return bound
    return ir.AssignExpr(bound.var, bound.value, loc=scope.loc(node), type=bound.value.type)


def bind_name(scope: Scope, target: ast.Name, value: Value, origin: ast.AST) -> ir.Assign | Static:
    """Give a name a value; what cannot be in a variable (a map, a type, a function) it stands for itself."""
    name = target.id
    var, kind = scope.variables.get(name), scope.declared.get(name)
    if isinstance(value, Static) and not var and not kind and not _can_be_held(value.value):
        scope.know(name, value)
        return value
    if kind is None and var is not None and is_scalar(var.type):
        kind = var.type
    expr = fit(scope, origin, value, kind, name) if kind else settle(scope, origin, value, var and var.type)
    if expr.type is None:
        raise scope.error(origin, "this call returns nothing")
    if isinstance(expr.type, ir.TupleType):
        raise scope.error(origin, "a tuple must be unpacked: a, b = …")
    if isinstance(expr.type, ir.ContextType):
        raise scope.error(origin, "a packet cannot be given another name")
    return ir.Assign(scope.assign(origin, name, expr.type), expr, loc=scope.loc(target))


def _can_be_held(value: Any) -> bool:
    return value is None or isinstance(value, int | BigEndian)


@lowers(EXPRESSIONS, ast.Attribute)
def lower_attribute(scope: Scope, node: ast.Attribute) -> Value:
    base = expression(scope, node.value)
    if isinstance(base, Static):
        return _static_attribute(scope, node, base)
    if isinstance(base, ir.Expr) and isinstance(base.type, ir.ContextType):
        return _context_field(scope, node, base, base.type.of)
    if (getter := property_of(node, base).fget) is not None:
        return call_accessor(scope, node, cast("FunctionType", getter), reference(scope, node, base))
    return value_at(scope, node, member(scope, node, base))


def property_of(node: ast.Attribute, base: Value) -> property:
    """The property of a Struct that `base.attr` is; one without functions if it is none."""
    kind = base.type.to if isinstance(base, ir.Expr) and isinstance(base.type, ir.PointerType) else None
    found = getattr(Struct.__class_of__[kind], node.attr, None) if isinstance(kind, StructType) else None
    return found if isinstance(found, property) else property()


def _static_attribute(scope: Scope, node: ast.Attribute, base: Static) -> Value:
    owner = base.value
    if isinstance(owner, MapSpec):
        return value_at(scope, node, _global_address(scope, node, owner))
    if owner is None:
        raise scope.error(node, f"{ast.unparse(node.value)} is None here")
    return fold(scope, node, operator.attrgetter(node.attr), base)


def _global_address(scope: Scope, node: ast.Attribute, owner: MapSpec) -> ir.Expr:
    """Pointer to the value of a Global."""
    if not issubclass(type(owner), Global) or node.attr != "value":
        raise scope.error(node, f"{type(owner).__name__} has no {node.attr!r} to read in a program")
    spec = cast("Global[Any]", owner)
    scope.builder.use_map(spec, written_name(node.value))
    return ir.GlobalAddress(spec, loc=scope.loc(node), type=ir.PointerType(spec.value_type))


def written_name(node: ast.expr) -> str:
    """A name for what an expression refers to: the last part of what is written."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "map"


def _context_field(scope: Scope, node: ast.Attribute, context: ir.Expr, packet: type[Packet]) -> Value:
    found = getattr(packet, node.attr, None)
    if isinstance(found, ContextField):
        return ir.ContextLoad(context, found.offset, loc=scope.loc(node), type=found.type)
    if node.attr == "length" and issubclass(packet, Xdp):
        return ir.PacketLength(context, loc=scope.loc(node), type=U32)
    called = ": call it" if callable(found) else ""
    raise scope.error(node, f"{packet.__name__} has no field {node.attr!r}{called}")


def member(scope: Scope, node: ast.Attribute, base: Value) -> ir.Expr:
    """Pointer to `base.attr`."""
    pointer = reference(scope, node, base)
    kind = pointee(pointer)
    if isinstance(kind, StructType) and node.attr in kind.fields:
        field = kind.fields[node.attr]
        inside = part_of(pointer, field.type)
        return ir.FieldAddress(pointer, field.name, field.offset, loc=scope.loc(node), type=inside)
    if is_scalar(kind) and node.attr == "value":
        return pointer
    raise scope.error(node, f"{kind or 'memory'} has no field {node.attr!r}")


def reference(scope: Scope, node: ast.AST, base: Value) -> ir.Expr:
    """`base`, if it is a reference that is not None."""
    if isinstance(base, Static) and base.value is None:
        raise scope.error(node, "this is None here")
    if isinstance(base, ir.Expr) and isinstance(base.type, ir.ContextType):
        raise scope.error(node, "a packet is no memory: read headers, and assign to its fields")
    if not isinstance(base, ir.Expr) or not isinstance(base.type, ir.PointerType):
        raise scope.error(node, f"{describe(base)} has no fields, elements or methods")
    if base.type.nullable:
        what = base.var.name if isinstance(base, ir.Var) else "this"
        raise scope.error(node, f"{what} may be None: test it first")
    return base


def pointee(pointer: ir.Expr) -> Type | None:
    """The type that a reference refers to."""
    assert isinstance(pointer.type, ir.PointerType)
    return pointer.type.to


def part_of(pointer: ir.Expr, kind: Type) -> ir.PointerType:
    """The type of a reference to something inside what `pointer` refers to."""
    assert isinstance(pointer.type, ir.PointerType)
    return ir.PointerType(kind, local=pointer.type.local, storages=pointer.type.storages)


@lowers(EXPRESSIONS, ast.Subscript)
def lower_subscript(scope: Scope, node: ast.Subscript) -> Value:
    base = expression(scope, node.value)
    if not isinstance(base, Static):
        return value_at(scope, node, element(scope, node, base))
    index = expression(scope, node.slice)
    if not isinstance(index, Static):
        raise scope.error(node.slice, f"{ast.unparse(node.value)} is a constant: its index must be one")
    return fold(scope, node, operator.getitem, base, index)


def element(scope: Scope, node: ast.Subscript, base: Value) -> ir.Expr:
    """Pointer to `base[index]`."""
    pointer = reference(scope, node, base)
    kind = pointee(pointer)
    if not isinstance(kind, ArrayType):
        raise scope.error(node, f"{kind or 'memory'} has no elements")
    index = settle(scope, node.slice, expression(scope, node.slice))
    if isinstance(index, ir.Const) and is_number(index.type):
        if not 0 <= index.value < kind.length:
            raise scope.error(node.slice, f"index {index.value} is outside {kind}")
        index = ir.Const(index.value, loc=index.loc, type=U64)
    if not is_number(index.type) or index.type.signed:
        raise scope.error(node.slice, f"an index is an unsigned number, this is {index.type}")
    inside = part_of(pointer, kind.element)
    return ir.ElementAddress(pointer, index, loc=scope.loc(node), type=inside)


def value_at(scope: Scope, node: ast.AST, pointer: ir.Expr) -> ir.Expr:
    """What a pointer stands for in an expression: the scalar it points to, or itself."""
    kind = pointee(pointer)
    return ir.Load(pointer, loc=scope.loc(node), type=kind) if is_scalar(kind) else pointer


def place(scope: Scope, node: ast.expr) -> ir.Expr:
    """Pointer to what `node` names: a field, an element, a Ref's or a Global's value."""
    if isinstance(node, ast.Subscript):
        base = expression(scope, node.value)
        if not isinstance(base, Static):
            return element(scope, node, base)
    if isinstance(node, ast.Attribute):
        base = expression(scope, node.value)
        if isinstance(base, Static) and isinstance(base.value, MapSpec):
            return _global_address(scope, node, base.value)
        if not isinstance(base, Static):
            return member(scope, node, base)
    raise scope.error(node, f"{ast.unparse(node)} is no place in memory that can be changed")
