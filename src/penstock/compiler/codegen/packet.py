"""The packet and its context: reads that the verifier can follow.

The verifier accepts a packet access if a pointer of the same origin was compared with the packet's end, and
what was added to the start is bounded (MAX_PACKET_OFF, kernel/bpf/verifier.c). So the pointer that is checked
must be the one that is used: LLVM must not recombine the two. The context may only be accessed at constant
offsets, which `llvm.bpf.getelementptr.and.load` guarantees.
"""

from __future__ import annotations

import sys

from penstock.compiler import ir
from penstock.compiler.codegen.alignment import pointee
from penstock.compiler.codegen.arithmetic import U64, resize
from penstock.compiler.codegen.builder import Builder, expression, llvm_type, statement
from penstock.compiler.codegen.memory import HIDE, hide, hide_integer
from penstock.compiler.target import MAX_PACKET_OFFSET
from penstock.lang.types import IntType


@expression(ir.ContextLoad)
def _context_load(b: Builder, node: ir.ContextLoad) -> str:
    return _load(b, b.value(node.context), llvm_type(node.type), node.offset)


def _load(b: Builder, context: str, kind: str, offset: int) -> str:
    name = f"@llvm.bpf.getelementptr.and.load.{kind}"
    signature = f"{kind} (ptr, i1, i8, i8, i8, i1, ...)"
    b.module.declare(f"declare {kind} {name}(ptr, i1, i8, i8, i8, i1, ...)")
    return b.let(f"call {signature} {name}({_member(context, kind, offset)}) memory(argmem: read)")


@statement(ir.ContextStore)
def _context_store(b: Builder, node: ir.ContextStore) -> None:
    context, value, kind = b.value(node.context), b.value(node.value), llvm_type(node.value.type)
    name = f"@llvm.bpf.getelementptr.and.store.{kind}"
    b.module.declare(f"declare void {name}({kind}, ptr, i1, i8, i8, i8, i1, ...)")
    signature = f"void ({kind}, ptr, i1, i8, i8, i8, i1, ...)"
    arguments = f"{kind} {value}, {_member(context, kind, node.offset)}"
    b.do(f"call {signature} {name}({arguments}) memory(argmem: write)")


def _member(context: str, kind: str, offset: int) -> str:
    """Return the arguments that name a member: not volatile, not atomic, its alignment, and the way to it."""
    align = (int(kind[1:]) // 8).bit_length() - 1
    layout = f"{{[{offset} x i8], {kind}}}"
    access = f"i1 false, i8 0, i8 1, i8 {align}, i1 true, i32 immarg 0, i32 immarg 1"
    return f"ptr elementtype({layout}) {context}, {access}"


def _bounds(b: Builder, context: ir.Expr) -> tuple[str, str]:
    """Return pointers to the packet's first byte and its end."""
    kind = context.type
    if not isinstance(kind, ir.ContextType):
        raise TypeError("a packet is read through its context")
    pointer, at = b.value(context), kind.of.data_offset
    start, end = (_load(b, pointer, "i32", offset) for offset in (at, at + 4))
    return _pointer(b, start), _pointer(b, end)


def _pointer(b: Builder, loaded: str) -> str:
    """Make a pointer of the 32 bits that the context seems to hold; the kernel makes the load a 64-bit one.

    Not by inttoptr: LLVM would compare and subtract the 32 bits instead.
    """
    wide = b.let(f"zext i32 {loaded} to i64")
    return b.let(f"call nonnull ptr {HIDE}(i64 {wide}) memory(none)")


@expression(ir.PacketLength)
def _packet_length(b: Builder, node: ir.PacketLength) -> str:
    start, end = (b.let(f"ptrtoint ptr {pointer} to i64") for pointer in _bounds(b, node.context))
    length = hide_integer(b, b.let(f"sub i64 {end}, {start}"))  # or LLVM subtracts 32 bits, of pointers
    # What the verifier learns of a copy of 32 bits counts for the whole only if the others are 0.
    length = hide_integer(b, b.let(f"and i64 {length}, {0xFFFF_FFFF}"))
    return resize(b, length, U64, IntType("u32", 32))


@expression(ir.PacketRead)
def _packet_read(b: Builder, node: ir.PacketRead) -> str:
    size = pointee(node).size
    outside, join = b.label("outside"), b.label("read")
    if isinstance(node.offset, ir.Const):
        if node.offset.value > MAX_PACKET_OFFSET - size:
            return "null"
        start, end = _bounds(b, node.context)
        pointer = b.let(f"getelementptr inbounds i8, ptr {start}, i64 {node.offset.value}")
    else:
        offset = resize(b, b.value(node.offset), node.offset.type, U64)
        start, end = _bounds(b, node.context)
        bits = node.offset.type.bits if isinstance(node.offset.type, IntType) else 64
        pointer = _place(b, start, offset, bits, MAX_PACKET_OFFSET - size, outside)
    limit = b.let(f"getelementptr i8, ptr {pointer}, i64 {size}")
    inside = b.block
    b.branch(b.let(f"icmp ugt ptr {limit}, {end}"), outside, join)
    b.place(outside)
    b.place(join)
    return b.phi("ptr", (pointer, inside), ("null", outside))


def _place(b: Builder, start: str, offset: str, bits: int, limit: int, outside: str) -> str:
    """Return a pointer `offset` bytes into the packet, or go to `outside` if that is beyond `limit`.

    Where inlining makes the offset a constant, nothing need be hidden.
    """
    b.module.declare("declare i1 @llvm.is.constant.i64(i64)")
    constant, varying, near, far, place = (
        b.label(name) for name in ("constant", "varying", "near", "far", "at")
    )
    b.branch(b.let(f"call i1 @llvm.is.constant.i64(i64 {offset})"), constant, varying)
    b.place(constant)
    b.branch(b.let(f"icmp ugt i64 {offset}, {limit}"), outside, near)
    b.place(near)
    known = b.let(f"getelementptr inbounds i8, ptr {start}, i64 {offset}")
    b.jump(place)
    b.place(varying)
    forgotten = _forget(b, offset, bits)
    b.branch(b.let(f"icmp ugt i64 {forgotten}, {limit}"), outside, far)
    b.place(far)
    hidden = hide(b, b.let(f"getelementptr inbounds i8, ptr {start}, i64 {forgotten}"))
    b.place(place)
    return b.phi("ptr", (known, near), (hidden, far))


def _forget(b: Builder, offset: str, bits: int) -> str:
    """Return the same offset (beyond 32 bits: a larger one), of which the verifier knows nothing.

    It goes through the upper half of a stack slot: the verifier keeps the values of whole slots and of lower
    halves. Linux 6.1 would still take what was stored for precise if what is loaded is, were it not that
    another register than the frame pointer points there (`backtrack_insn` in kernel/bpf/verifier.c). If it
    knew that an offset is 14, 18 or 22, after a loop over VLAN tags, it would walk all that follows once for
    each: what is added to a pointer counts as precise (`mark_chain_precision`), and states are merged only
    where precise values agree.
    """
    if bits > 32:
        high = b.let(f"lshr i64 {offset}, 32")
        ones = b.let(f"lshr i64 {b.let(f'sub i64 0, {high}')}, 32")  # 32 of them, unless high is 0
        offset = b.let(f"or i64 {offset}, {ones}")
    half = 4 if sys.byteorder == "little" else 0
    slot = b.let(f"getelementptr inbounds i8, ptr {hide(b, b.slot(b.scratch))}, i64 {half}")
    b.do(f"store volatile i32 {b.let(f'trunc i64 {offset} to i32')}, ptr {slot}")
    return b.let(f"zext i32 {b.let(f'load volatile i32, ptr {slot}')} to i64")
