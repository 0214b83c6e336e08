"""Functions of Python's, and types and arrays of the language's, that programs may call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final

from penstock.compiler import ir
from penstock.compiler.frontend.convert import settle
from penstock.compiler.frontend.expressions import pointee, reference
from penstock.compiler.frontend.operators import fold, numbers
from penstock.compiler.frontend.scope import Scope, expression, hold
from penstock.compiler.frontend.signature import arguments, positional
from penstock.compiler.frontend.storage import make_array
from penstock.compiler.frontend.truth import truth
from penstock.compiler.frontend.values import Static, Value, describe
from penstock.lang.program import sizeof, zeros
from penstock.lang.types import BOOL, ArrayType, Type, resolve


def _zeros(scope: Scope, node: ast.Call) -> Value:
    element, length = arguments(scope, node, "element", "length")
    if not isinstance(element, Static):
        raise scope.error(node, f"zeros(type, length): {describe(element)} is no type")
    if not isinstance(length, Static) or not isinstance(length.value, int):
        raise scope.error(node, "zeros(type, length): the length is a constant")
    if length.value <= 0:
        raise scope.error(node, f"an array of {length.value} elements")
    return make_array(scope, node, ArrayType(resolve_type(scope, node, element.value), length.value))


def resolve_type(scope: Scope, node: ast.AST, hint: Any) -> Type:
    """The type of the language that `hint` names."""
    try:
        return resolve(hint)
    except TypeError as error:
        raise scope.error(node, str(error)) from None


def _sizeof(scope: Scope, node: ast.Call) -> Value:
    (kind,) = arguments(scope, node, "kind")
    if not isinstance(kind, Static):
        raise scope.error(node, f"sizeof takes a type, this is {describe(kind)}")
    return Static(resolve_type(scope, node, kind.value).size)


def _len(scope: Scope, node: ast.Call) -> Value:
    (value,) = positional(scope, node, 1)
    if isinstance(value, Static):
        return fold(scope, node, len, value)
    kind = pointee(reference(scope, node, value))
    if not isinstance(kind, ArrayType):
        raise scope.error(node, f"{describe(value)} has no length")
    return Static(kind.length)


def _extreme(function: Callable[..., Any], scope: Scope, node: ast.Call) -> Value:
    left, right = positional(scope, node, 2)
    if isinstance(left, Static) and isinstance(right, Static):
        return fold(scope, node, function, left, right)
    name = function.__name__
    a, b, kind = numbers(scope, node, left, right, f"{name} of {{}} and {{}}")
    (first, one), (second, other) = hold(name, a), hold(name, b)
    loc = scope.loc(node)
    test = ir.Compare("le" if function is min else "ge", one, other, loc=loc, type=BOOL)
    chosen = ir.Select(test, one, other, loc=loc, type=kind)
    return ir.Sequence([first, second], chosen, loc=loc, type=kind)


def _constants_only(function: Callable[..., Any], scope: Scope, node: ast.Call) -> Value:
    values = [expression(scope, arg) for arg in node.args]
    constants = [value for value in values if isinstance(value, Static)]
    name = function.__name__
    if node.keywords or len(constants) != len(values):
        raise scope.error(node, f"{name} takes constants only: convert with u32(…) and the like")
    return fold(scope, node, function, *constants)


def _bool(scope: Scope, node: ast.Call) -> Value:
    (value,) = positional(scope, node, 1)
    if isinstance(value, Static):
        return fold(scope, node, bool, value)
    return settle(scope, node, truth(scope, node.args[0], value).value)


def _isinstance(scope: Scope, node: ast.Call) -> Value:
    value, kind = positional(scope, node, 2)
    if not isinstance(kind, Static) or not isinstance(kind.value, type):
        raise scope.error(node, "isinstance takes one class")
    if isinstance(value, Static):
        return Static(isinstance(value.value, kind.value))
    if not isinstance(value, ir.Expr) or not isinstance(value.type, ir.ContextType):
        raise scope.error(node, f"isinstance tells packets apart, this is {describe(value)}")
    return Static(issubclass(value.type.of, kind.value))


BUILTINS: Final[dict[Hashable, Callable[[Scope, ast.Call], Value]]] = {
    zeros: _zeros,
    sizeof: _sizeof,
    len: _len,
    bool: _bool,
    isinstance: _isinstance,
    **{function: partial(_extreme, function) for function in (min, max)},
    **{function: partial(_constants_only, function) for function in (int, abs, round)},
}
