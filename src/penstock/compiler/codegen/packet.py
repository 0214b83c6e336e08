"""The packet and its context: reads that the verifier can follow.

The verifier accepts a packet access if a pointer with the same origin was compared with the packet's end, and if what
was added to the start is bounded (MAX_PACKET_OFF, kernel/bpf/verifier.c). So the pointer that is checked must be
the one that is used, and LLVM must not recombine the two. The context may only be accessed at constant offsets,
which LLVM's `llvm.bpf.getelementptr.and.load` guarantees.
"""

from __future__ import annotations

from penstock.compiler import ir
from penstock.compiler.codegen.arithmetic import resize
from penstock.compiler.codegen.builder import Builder, expression, llvm_type, statement
from penstock.compiler.codegen.memory import HIDE, hide, hide_integer, pointee
from penstock.lang.types import u32, u64

MAX_OFFSET = 0xFFFF
"""How far into a packet the verifier lets anything be."""


@expression(ir.ContextLoad)
def context_load(b: Builder, node: ir.ContextLoad) -> str:
    return _load(b, b.value(node.context), llvm_type(node.type), node.offset)


def _load(b: Builder, context: str, kind: str, offset: int) -> str:
    name = f"@llvm.bpf.getelementptr.and.load.{kind}"
    signature = f"{kind} (ptr, i1, i8, i8, i8, i1, ...)"
    b.module.declare(f"declare {kind} {name}(ptr, i1, i8, i8, i8, i1, ...)")
    return b.let(f"call {signature} {name}({_member(context, kind, offset)}) memory(argmem: read)")


@statement(ir.ContextStore)
def context_store(b: Builder, node: ir.ContextStore) -> None:
    context, value, kind = b.value(node.context), b.value(node.value), llvm_type(node.value.type)
    name = f"@llvm.bpf.getelementptr.and.store.{kind}"
    b.module.declare(f"declare void {name}({kind}, ptr, i1, i8, i8, i8, i1, ...)")
    signature = f"void ({kind}, ptr, i1, i8, i8, i8, i1, ...)"
    b.do(f"call {signature} {name}({kind} {value}, {_member(context, kind, node.offset)}) memory(argmem: write)")


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
def packet_length(b: Builder, node: ir.PacketLength) -> str:
    start, end = (b.let(f"ptrtoint ptr {pointer} to i64") for pointer in _bounds(b, node.context))
    length = hide_integer(b, b.let(f"sub i64 {end}, {start}"))  # or LLVM subtracts 32 bits, of pointers
    return resize(b, length, u64, u32)


@expression(ir.PacketRead)
def packet_read(b: Builder, node: ir.PacketRead) -> str:
    size = pointee(node).size
    outside, join = b.label("outside"), b.label("read")
    if isinstance(node.offset, ir.Const):
        if node.offset.value > MAX_OFFSET - size:
            return "null"
        start, end = _bounds(b, node.context)
        pointer = b.let(f"getelementptr inbounds i8, ptr {start}, i64 {node.offset.value}")
    else:
        offset = resize(b, b.value(node.offset), node.offset.type, u64)
        start, end = _bounds(b, node.context)
        pointer = _variable_place(b, start, offset, MAX_OFFSET - size, outside)
    limit = b.let(f"getelementptr i8, ptr {pointer}, i64 {size}")
    inside = b.block
    b.branch(b.let(f"icmp ugt ptr {limit}, {end}"), outside, join)
    b.place(outside)
    b.place(join)
    return b.phi("ptr", (pointer, inside), ("null", outside))


def _variable_place(b: Builder, start: str, offset: str, limit: int, outside: str) -> str:
    """Return a pointer `offset` bytes into the packet, or go to `outside` if that is beyond `limit`.

    Offset and pointer are hidden, so that what is compared is what is used, except where inlining makes the
    offset a constant: then there is nothing to get wrong.
    """
    b.module.declare("declare i1 @llvm.is.constant.i64(i64)")
    constant = b.let(f"call i1 @llvm.is.constant.i64(i64 {offset})")
    place = b.label("place")
    checked = b.let(f"select i1 {constant}, i64 {offset}, i64 {hide_integer(b, offset)}")
    b.branch(b.let(f"icmp ugt i64 {checked}, {limit}"), outside, place)
    b.place(place)
    pointer = b.let(f"getelementptr inbounds i8, ptr {start}, i64 {checked}")
    return b.let(f"select i1 {constant}, ptr {pointer}, ptr {hide(b, pointer)}")
