"""What programs do with packets."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from penstock.compiler import ir
from penstock.compiler.frontend.convert import settle
from penstock.compiler.frontend.expressions import written_name
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.signature import arguments
from penstock.compiler.frontend.values import Static, Value, describe, is_number
from penstock.compiler.target import MAX_PACKET_OFFSET
from penstock.lang.maps import ProgArray
from penstock.lang.types import resolve


def _read(scope: Scope, node: ast.Call, packet: ir.Expr) -> Value:
    """`packet.read(Header, offset)`."""
    header, offset = arguments(scope, node, "header", "offset")
    if not isinstance(header, Static):
        raise scope.error(node, f"the header is a type, this is {describe(header)}")
    try:
        kind = resolve(header.value)
    except TypeError as error:
        raise scope.error(node, str(error)) from None
    where = unsigned(scope, node, offset, "an offset")
    if isinstance(where, ir.Const) and where.value > MAX_PACKET_OFFSET:
        raise scope.error(node, f"no packet has an offset {where.value}")
    return ir.PacketRead(packet, where, loc=scope.loc(node), type=ir.PointerType(kind, nullable=True))


def unsigned(scope: Scope, node: ast.AST, value: Value, what: str) -> ir.Expr:
    """`value`, an unsigned number of any width."""
    expr = settle(scope, node, value)
    if not is_number(expr.type) or expr.type.signed:
        raise scope.error(node, f"{what} is an unsigned number, this is {describe(value)}")
    return expr


PACKET_METHODS: Final[dict[str, Callable[[Scope, ast.Call, ir.Expr], Value]]] = {"read": _read}


def lower_tail_call(scope: Scope, node: ast.Call) -> Value:
    """`tail_call(packet, programs, index)`."""
    packet, programs, index = arguments(scope, node, "packet", "programs", "index")
    if not isinstance(packet, ir.Expr) or not isinstance(packet.type, ir.ContextType):
        raise scope.error(node, f"a tail call hands on the packet, this is {describe(packet)}")
    if not isinstance(programs, Static) or not isinstance(programs.value, ProgArray):
        raise scope.error(node, f"a tail call goes through a ProgArray, this is {describe(programs)}")
    if scope.function.subprogram:
        raise scope.error(node, "a subprogram cannot make a tail call")
    spec, where = programs.value, unsigned(scope, node, index, "an index")
    scope.builder.use_map(spec, written_name(node.args[1]) if len(node.args) > 1 else "programs")
    loc = scope.loc(node)
    address = ir.MapAddress(spec, loc=loc, type=ir.PointerType(None))
    return ir.HelperCall("tail_call", 12, (4, 2), [packet, address, where], loc=loc, type=None)
