"""Arithmetic."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final
from typing import Literal as OneOf

from penstock.compiler import ir
from penstock.compiler.frontend.conditions import lower_truth
from penstock.compiler.frontend.convert import same_type
from penstock.compiler.frontend.scope import EXPRESSIONS, Scope, expression, lowers
from penstock.compiler.frontend.values import Choice, Literal, Static, Value, describe, is_number
from penstock.lang.types import BoolType, IntType, Type

Operation = OneOf["add", "sub", "mul", "div", "mod", "and", "or", "xor", "shl", "shr"]
_OPERATIONS: Final[dict[type[ast.operator], tuple[Operation, str, str]]] = {
    ast.Add: ("add", "+", "add"),
    ast.Sub: ("sub", "-", "sub"),
    ast.Mult: ("mul", "*", "mul"),
    ast.FloorDiv: ("div", "//", "floordiv"),
    ast.Mod: ("mod", "%", "mod"),
    ast.BitAnd: ("and", "&", "and_"),
    ast.BitOr: ("or", "|", "or_"),
    ast.BitXor: ("xor", "^", "xor"),
    ast.LShift: ("shl", "<<", "lshift"),
    ast.RShift: ("shr", ">>", "rshift"),
}
"""Each operator's name in the IR, its sign, and the function of Python's `operator` that computes it."""

_CONSTANTS_ONLY: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Div: ("/: use //", "truediv"),
    ast.Pow: ("**: multiply, or shift", "pow"),
}
"""For operators that programs lack: what to use instead, and the function of Python's."""

_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}


@lowers(EXPRESSIONS, ast.BinOp)
def lower_binary(scope: Scope, node: ast.BinOp) -> Value:
    return binary(scope, node, node.op, expression(scope, node.left), expression(scope, node.right))


def binary(scope: Scope, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Value:
    """An arithmetic operator on two values; folded if both are known."""
    if type(op) in _CONSTANTS_ONLY:
        symbol, function = _CONSTANTS_ONLY[type(op)]
        if isinstance(left, Static) and isinstance(right, Static):
            return fold(scope, node, getattr(operator, function), left, right)
        raise scope.error(node, f"not in the language: {symbol}")
    name, symbol, function = _OPERATIONS[type(op)]
    folded = _fold_literals(scope, node, getattr(operator, function), left, right)
    if folded:
        return folded
    a, b, kind = numbers(scope, node, left, right, f"{{}} {symbol} {{}}")
    _check_constant(scope, node, name, kind, b)
    return ir.Binary(name, a, b, loc=scope.loc(node), type=kind)


def numbers(
    scope: Scope, node: ast.AST, left: Value, right: Value, text: str
) -> tuple[ir.Expr, ir.Expr, IntType]:
    """Both operands as native integers of one type, and the type; `text` names the operation for errors."""
    kinds = [value.type if isinstance(value, ir.Expr) else None for value in (left, right)]
    if all(isinstance(value, Static | Choice) or is_number(value.type) for value in (left, right)):
        a, b = same_type(scope, node, left, right)
        if is_number(a.type) and a.type == b.type:
            return a, b, a.type
        kinds = [a.type, b.type]
    raise scope.error(node, text.format(describe(left), describe(right)) + _advice(*kinds))


def _check_constant(scope: Scope, node: ast.AST, name: Operation, kind: IntType, right: ir.Expr) -> None:
    if not isinstance(right, ir.Const):
        return
    if name in ("div", "mod") and right.value == 0:
        raise scope.error(node, "division by zero")
    if name in ("shl", "shr") and not 0 <= right.value < kind.bits:
        raise scope.error(node, f"shift by {right.value}: {kind} has {kind.bits} bits")


def _fold_literals(
    scope: Scope, node: ast.AST, compute: Callable[[Any, Any], Any], left: Value, right: Value
) -> Literal | None:
    """What is made of literals only, and still adapts."""
    match left, right:
        case Static(), Static():
            return fold(scope, node, compute, left, right)
        case Choice(), Static():
            return left.map(lambda number: fold(scope, node, compute, number, right))
        case Static(), Choice():
            return right.map(lambda number: fold(scope, node, compute, left, number))
        case _:
            return None


def fold(scope: Scope, node: ast.AST, function: Callable[..., Any], *values: Static) -> Static:
    """What a function of Python's makes of values that are known."""
    try:
        return Static(function(*(value.value for value in values)))
    except Exception as error:  # noqa: BLE001  # whatever objects of the user's may raise
        raise scope.error(node, f"cannot compute this: {error or type(error).__name__}") from None


def _advice(a: Type | None, b: Type | None) -> str:
    for kind in (a, b):
        if isinstance(kind, IntType) and kind.big_endian:
            return f": big-endian numbers must be converted to compute, with u{kind.bits}(…)"
    if isinstance(a, IntType) and isinstance(b, IntType):
        return f": convert one side, e.g. with {a if a.bits >= b.bits else b}(…)"
    if isinstance(a, BoolType) or isinstance(b, BoolType):
        return ": truth values do not compute, convert them, e.g. with u32(…), or use and, or, not"
    return " has no meaning"


@lowers(EXPRESSIONS, ast.UnaryOp)
def lower_unary(scope: Scope, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        return lower_truth(scope, node)
    value, compute = expression(scope, node.operand), _UNARY[type(node.op)]
    if isinstance(value, Static):
        return fold(scope, node, compute, value)
    if isinstance(value, Choice):
        return value.map(lambda number: fold(scope, node, compute, number))
    if not is_number(value.type):
        raise scope.error(node, f"{describe(value)} does not compute{_advice(value.type, None)}")
    if isinstance(node.op, ast.UAdd):
        return value
    op = "neg" if isinstance(node.op, ast.USub) else "invert"
    return ir.Unary(op, value, loc=scope.loc(node), type=value.type)
