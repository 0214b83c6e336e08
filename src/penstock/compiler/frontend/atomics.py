"""Atomic operations: calls whose first argument is a place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, get_args

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.expressions import place, pointee
from penstock.compiler.frontend.scope import Scope, expression
from penstock.compiler.frontend.signature import check_count
from penstock.compiler.frontend.values import Value, is_number
from penstock.lang import atomic

Operation = Literal["add", "fetch_add", "fetch_and", "fetch_or", "fetch_xor", "exchange", "compare_exchange"]


def _lower(name: Operation, scope: Scope, node: ast.Call) -> Value:
    check_count(scope, node, 3 if name == "compare_exchange" else 2)
    pointer = place(scope, node.args[0])
    kind = pointee(pointer)
    if not is_number(kind) or kind.bits < 32:
        raise scope.error(node.args[0], f"atomic operations work on 32 or 64 bits, this is {kind}")
    what = ast.unparse(node.args[0])
    operands = [fit(scope, arg, expression(scope, arg), kind, what) for arg in node.args[1:]]
    expected = operands[0] if name == "compare_exchange" else None
    result = None if name == "add" else kind
    return ir.Atomic(name, pointer, operands[-1], expected, loc=scope.loc(node), type=result)


ATOMICS: Final[dict[Callable[..., object], Callable[[Scope, ast.Call], Value]]] = {
    getattr(atomic, name): partial(_lower, name) for name in get_args(Operation)
}
