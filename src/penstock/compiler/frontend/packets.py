"""What programs do with packets."""

from __future__ import annotations

import ast
from collections.abc import Callable

from penstock.compiler import ir
from penstock.compiler.frontend.convert import constant, materialise
from penstock.compiler.frontend.functions import bind
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.values import Static, Value, describe
from penstock.lang.maps import ProgArray
from penstock.lang.types import IntType, resolve

MAX_OFFSET = 0xFFFF  # MAX_PACKET_OFF of the verifier


def _read(scope: Scope, node: ast.Call, packet: ir.Expr) -> Value:
    """`packet.read(Header, offset)`."""
    header, offset = bind(scope, node, ["header", "offset"], {}).values()
    if not isinstance(header, Static):
        raise scope.error(node, f"the header is a type, this is {describe(header)}")
    try:
        kind = resolve(header.value)
    except TypeError as error:
        raise scope.error(node, str(error)) from None
    if isinstance(offset, Static) and not (isinstance(offset.value, int) and 0 <= offset.value <= MAX_OFFSET):
        raise scope.error(node, f"no packet has an offset {offset.value}")
    where = materialise(scope, node, offset)
    if not isinstance(where.type, IntType) or where.type.signed or where.type.big_endian:
        raise scope.error(node, f"an offset is an unsigned number, this is {describe(where)}")
    return ir.PacketRead(packet, where, loc=scope.loc(node), type=ir.PointerType(kind, nullable=True))


PACKET_METHODS: dict[str, Callable[[Scope, ast.Call, ir.Expr], Value]] = {"read": _read}


def tail_call_(scope: Scope, node: ast.Call) -> Value:
    """`tail_call(packet, programs, index)`."""
    packet, programs, index = bind(scope, node, ["packet", "programs", "index"], {}).values()
    if isinstance(packet, Static) or not isinstance(packet.type, ir.ContextType):
        raise scope.error(node, f"a tail call hands on the packet, this is {describe(packet)}")
    if not isinstance(programs, Static) or not isinstance(programs.value, ProgArray):
        raise scope.error(node, f"a tail call goes through a ProgArray, this is {describe(programs)}")
    if scope.function.subprogram:
        raise scope.error(node, "a subprogram cannot make a tail call")
    where = index if isinstance(index, ir.Expr) else constant(scope, node, index.value)
    if not isinstance(where.type, IntType) or where.type.signed:
        raise scope.error(node, f"an index is an unsigned number, this is {describe(where)}")
    spec = programs.value
    scope.builder.use_map(spec, ast.unparse(node.args[1]) if len(node.args) > 1 else "programs")
    address = ir.MapAddress(spec, loc=scope.loc(node), type=ir.PointerType(None))
    return ir.HelperCall("tail_call", 12, (4, 2), [packet, address, where], loc=scope.loc(node), type=None)
