"""Atomic operations: calls whose first argument is a place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.expressions import place
from penstock.compiler.frontend.scope import Scope, expression
from penstock.compiler.frontend.values import Value, describe
from penstock.lang.types import IntType


def _atomic(scope: Scope, node: ast.Call, name: Any) -> Value:
    wanted = 3 if name == "compare_exchange" else 2
    if node.keywords or len(node.args) != wanted:
        raise scope.error(node, f"atomic.{name} takes {wanted} arguments by position")
    pointer = place(scope, node.args[0])
    assert isinstance(pointer.type, ir.PointerType)
    kind = pointer.type.to
    if not isinstance(kind, IntType) or kind.big_endian or kind.bits < 32:
        raise scope.error(
            node.args[0], f"atomic operations work on 32 or 64 bits, this is {kind.name if kind else '?'}"
        )
    operands = [fit(scope, arg, expression(scope, arg), kind, describe(pointer)) for arg in node.args[1:]]
    expected = operands[0] if name == "compare_exchange" else None
    result = None if name == "add" else kind
    return ir.Atomic(name, pointer, operands[-1], expected, loc=scope.loc(node), type=result)


def _operation(name: str) -> Callable[[Scope, ast.Call], Value]:
    return lambda scope, node: _atomic(scope, node, name)


atomic_operation = {
    name: _operation(name)
    for name in ("add", "fetch_add", "fetch_and", "fetch_or", "fetch_xor", "exchange", "compare_exchange")
}
