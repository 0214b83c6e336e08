"""Names, constants, operators, attributes and elements."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Literal

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import condition, select
from penstock.compiler.frontend.convert import fit, materialise, same_type
from penstock.compiler.frontend.flow import join
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.values import NONE, Static, Value, describe, is_scalar
from penstock.lang.maps import Global, MapSpec
from penstock.lang.program import ContextField, Packet, Xdp
from penstock.lang.struct import StructType
from penstock.lang.types import ArrayType, BoolType, IntType, Type, u64

BinaryOp = Literal["add", "sub", "mul", "div", "mod", "and", "or", "xor", "shl", "shr"]
OPERATORS: dict[type[ast.operator], tuple[BinaryOp, Callable[[Any, Any], Any]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("sub", operator.sub),
    ast.Mult: ("mul", operator.mul),
    ast.FloorDiv: ("div", operator.floordiv),
    ast.Mod: ("mod", operator.mod),
    ast.BitAnd: ("and", operator.and_),
    ast.BitOr: ("or", operator.or_),
    ast.BitXor: ("xor", operator.xor),
    ast.LShift: ("shl", operator.lshift),
    ast.RShift: ("shr", operator.rshift),
}
STATIC_ONLY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "//", "mod": "%", "and": "&", "or": "|", "xor": "^",
           "shl": "<<", "shr": ">>"}  # fmt: skip


@lowers(EXPRESSIONS, ast.Constant)
def lower_constant(scope: Scope, node: ast.Constant) -> Value:
    if not isinstance(node.value, int | float | str | None):
        raise scope.error(node, f"not in the language: a {type(node.value).__name__} constant")
    return Static(node.value)


@lowers(EXPRESSIONS, ast.Name)
def lower_name(scope: Scope, node: ast.Name) -> Value:
    name = node.id
    if name in scope.local_names:
        return _local(scope, node, name)
    if name in scope.names:
        return Static(scope.names[name])
    raise scope.error(node, f"{name} is not defined")


def _local(scope: Scope, node: ast.AST, name: str) -> Value:
    known = (scope.env or {}).get(name)
    if known is None:
        raise scope.error(node, f"{name} may be unassigned here")
    if isinstance(known, Static):
        return known
    return ir.Var(scope.variables[name], loc=scope.loc(node), type=known)


@lowers(EXPRESSIONS, ast.NamedExpr)
def lower_walrus(scope: Scope, node: ast.NamedExpr) -> Value:
    value = materialise(scope, node, expression(scope, node.value))
    require_value(scope, node.value, value)
    var = scope.assign(node, node.target.id, value)
    return ir.AssignExpr(var, value, loc=scope.loc(node), type=value.type)


def require_value(scope: Scope, node: ast.AST, value: ir.Expr) -> None:
    """Refuse what a name cannot hold."""
    if value.type is None:
        raise scope.error(node, "this call returns nothing")
    if isinstance(value.type, ir.TupleType):
        raise scope.error(node, "a tuple must be unpacked into names")


@lowers(EXPRESSIONS, ast.BinOp)
def lower_binary(scope: Scope, node: ast.BinOp) -> Value:
    return binary(scope, node, node.op, expression(scope, node.left), expression(scope, node.right))


def binary(scope: Scope, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Value:
    """An arithmetic operator on two values; folded if both are known."""
    known = OPERATORS.get(type(op))
    if isinstance(left, Static) and isinstance(right, Static):
        return _fold(scope, node, known[1] if known else STATIC_ONLY.get(type(op)), left, right)
    if known is None:
        raise scope.error(
            node, f"not in the language: {_symbol(op)}" + (": use //" if isinstance(op, ast.Div) else "")
        )
    name = known[0]
    if name in ("shl", "shr"):
        return _shift(scope, node, name, left, right)
    a, b = same_type(scope, node, left, right)
    if a.type != b.type or not isinstance(a.type, IntType) or a.type.big_endian:
        raise scope.error(node, _mismatch(name, left, right, a.type, b.type))
    return ir.Binary(name, a, b, loc=scope.loc(node), type=a.type)


def _fold(scope: Scope, node: ast.AST, function: Callable[..., Any] | None, *values: Static) -> Static:
    if function is None:
        raise scope.error(node, "not in the language: this operator")
    try:
        return Static(function(*(value.value for value in values)))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise scope.error(node, f"cannot compute this: {error}") from None


def _symbol(op: ast.operator) -> str:
    return {ast.Div: "/", ast.Pow: "**", ast.MatMult: "@"}.get(type(op), type(op).__name__)


def _mismatch(name: str, left: Value, right: Value, a: Type | None, b: Type | None) -> str:
    text = f"{describe(left)} {SYMBOLS[name]} {describe(right)}"
    for kind in (a, b):
        if isinstance(kind, IntType) and kind.big_endian:
            return f"{text}: big-endian numbers must be converted to compute: u{kind.bits}(…)"
    if isinstance(a, IntType) and isinstance(b, IntType):
        return f"{text}: convert one side, e.g. {a if a.bits >= b.bits else b}(…)"
    if isinstance(a, BoolType) or isinstance(b, BoolType):
        return f"{text}: truth values do not compute, convert with u32(…)"
    return f"{text} has no meaning"


def _shift(scope: Scope, node: ast.AST, name: BinaryOp, left: Value, right: Value) -> Value:
    value = materialise(scope, node, left)
    kind = value.type
    if not isinstance(kind, IntType) or kind.big_endian:
        raise scope.error(node, _mismatch(name, left, right, kind, None))
    if isinstance(right, Static) and not (isinstance(right.value, int) and 0 <= right.value < kind.bits):
        raise scope.error(node, f"shift by {right.value}: {kind} has {kind.bits} bits")
    count = fit(scope, node, right, kind, "the shift count")
    return ir.Binary(name, value, count, loc=scope.loc(node), type=kind)


@lowers(EXPRESSIONS, ast.UnaryOp)
def lower_unary(scope: Scope, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        return truth(scope, node)
    value = expression(scope, node.operand)
    if isinstance(value, Static):
        functions = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}
        return _fold(scope, node, functions[type(node.op)], value)  # type: ignore[index]
    if not isinstance(value.type, IntType) or value.type.big_endian:
        raise scope.error(node, f"{describe(value)} does not compute")
    if isinstance(node.op, ast.UAdd):
        return value
    op = "neg" if isinstance(node.op, ast.USub) else "invert"
    return ir.Unary(op, value, loc=scope.loc(node), type=value.type)


@lowers(EXPRESSIONS, ast.Compare, ast.BoolOp)
def truth(scope: Scope, node: ast.expr) -> Value:
    """A condition used as a value."""
    result, if_true, if_false = condition(scope, node, as_value=True)
    scope.env = join(if_true, if_false)
    return result


@lowers(EXPRESSIONS, ast.IfExp)
def lower_conditional(scope: Scope, node: ast.IfExp) -> Value:
    return select(scope, node)


@lowers(EXPRESSIONS, ast.Attribute)
def lower_attribute(scope: Scope, node: ast.Attribute) -> Value:
    base = expression(scope, node.value)
    if isinstance(base, Static):
        return _static_attribute(scope, node, base)
    if isinstance(base.type, ir.ContextType):
        return _context_field(scope, node, base)
    return value_at(scope, node, member(scope, node, base))


def _static_attribute(scope: Scope, node: ast.Attribute, base: Static) -> Value:
    owner = base.value
    if isinstance(owner, Global) and node.attr == "value":
        return value_at(scope, node, global_address(scope, node, owner))
    if isinstance(owner, MapSpec):
        raise scope.error(node, f"{type(owner).__name__} has no {node.attr!r} to read in a program")
    if not hasattr(owner, node.attr):
        raise scope.error(node, f"{ast.unparse(node.value)} has no attribute {node.attr!r}")
    return Static(getattr(owner, node.attr))


def global_address(scope: Scope, node: ast.Attribute, owner: Global[Any]) -> ir.Expr:
    """Pointer to the value of a Global."""
    scope.builder.use_map(owner, _map_name(node.value))
    return ir.GlobalAddress(owner, loc=scope.loc(node), type=ir.PointerType(owner.value_type))


def _map_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "map"


def _context_field(scope: Scope, node: ast.Attribute, context: ir.Expr) -> Value:
    packet = context_class(context)
    found = getattr(packet, node.attr, None)
    if isinstance(found, ContextField):
        return ir.ContextLoad(context, found.offset, loc=scope.loc(node), type=found.type)
    if node.attr == "length" and issubclass(packet, Xdp):
        return ir.PacketLength(context, loc=scope.loc(node), type=IntType("u32", 32))
    raise scope.error(node, f"{packet.__name__} has no field {node.attr!r}")


def context_class(context: ir.Expr) -> type[Packet]:
    """Which kind of packet an expression is."""
    assert isinstance(context.type, ir.ContextType)
    return context.type.of


def member(scope: Scope, node: ast.Attribute, base: ir.Expr) -> ir.Expr:
    """Pointer to `base.attr`."""
    kind = pointee(scope, node, base)
    if isinstance(kind, StructType) and node.attr in kind.fields:
        field = kind.fields[node.attr]
        pointer = ir.PointerType(field.type, local=_is_local(base))
        return ir.FieldAddress(base, field.name, field.offset, loc=scope.loc(node), type=pointer)
    if is_scalar(kind) and node.attr == "value":
        return base
    raise scope.error(node, f"{kind.name if kind else 'memory'} has no field {node.attr!r}")


def pointee(scope: Scope, node: ast.AST, base: ir.Expr) -> Type | None:
    """The type that a reference refers to; an error if it is none, or may be None."""
    if not isinstance(base.type, ir.PointerType):
        raise scope.error(node, f"{describe(base)} has no fields or elements")
    if base.type == NONE or base.type.nullable:
        what = f"{base.var.name}" if isinstance(base, ir.Var) and base.var.name else "this"
        raise scope.error(node, f"{what} may be None: test it first")
    return base.type.to


def _is_local(base: ir.Expr) -> bool:
    return isinstance(base.type, ir.PointerType) and base.type.local


@lowers(EXPRESSIONS, ast.Subscript)
def lower_subscript(scope: Scope, node: ast.Subscript) -> Value:
    base = expression(scope, node.value)
    if isinstance(base, Static):
        index = expression(scope, node.slice)
        if not isinstance(index, Static):
            raise scope.error(node, f"{describe(base)} needs a constant index")
        return _fold(scope, node, operator.getitem, base, index)
    return value_at(scope, node, element(scope, node, base))


def element(scope: Scope, node: ast.Subscript, base: ir.Expr) -> ir.Expr:
    """Pointer to `base[index]`."""
    kind = pointee(scope, node, base)
    if not isinstance(kind, ArrayType):
        raise scope.error(node, f"{describe(base)} has no elements")
    index = expression(scope, node.slice)
    if isinstance(index, Static):
        if not isinstance(index.value, int) or not 0 <= index.value < kind.length:
            raise scope.error(node, f"index {index.value} is outside {kind.name}")
        index = ir.Const(int(index.value), loc=scope.loc(node.slice), type=_u64())
    if not isinstance(index.type, IntType) or index.type.signed or index.type.big_endian:
        raise scope.error(node.slice, f"an index is an unsigned number, this is {describe(index)}")
    return ir.ElementAddress(
        base, index, loc=scope.loc(node), type=ir.PointerType(kind.element, local=_is_local(base))
    )


def _u64() -> IntType:
    kind: Any = u64
    return kind


def value_at(scope: Scope, node: ast.AST, pointer: ir.Expr) -> ir.Expr:
    """What a pointer stands for in an expression: the scalar it points to, or itself."""
    assert isinstance(pointer.type, ir.PointerType)
    if is_scalar(pointer.type.to):
        return ir.Load(pointer, loc=scope.loc(node), type=pointer.type.to)
    return pointer


def place(scope: Scope, node: ast.expr) -> ir.Expr:
    """Pointer to what `node` names: a field, an element, a Ref's or a Global's value."""
    if isinstance(node, ast.Subscript):
        base = expression(scope, node.value)
        if not isinstance(base, Static):
            return element(scope, node, base)
    if isinstance(node, ast.Attribute):
        base = expression(scope, node.value)
        if isinstance(base, Static) and isinstance(base.value, Global) and node.attr == "value":
            return global_address(scope, node, base.value)
        if not isinstance(base, Static) and not isinstance(base.type, ir.ContextType):
            return member(scope, node, base)
    raise scope.error(node, "this is no place in memory that can be changed")
