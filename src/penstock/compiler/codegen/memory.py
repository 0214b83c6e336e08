"""Variables, storage, fields, loads and stores, copies, atomics."""

from __future__ import annotations

from penstock.compiler import ir
from penstock.compiler.codegen.alignment import pointee, storage_alignment
from penstock.compiler.codegen.arithmetic import U64, resize
from penstock.compiler.codegen.builder import Builder, expression, llvm_type, statement
from penstock.lang.types import BoolType

INLINE_COPY = 512
"""Bytes that are copied without a loop; beyond 128 stores LLVM would call `memcpy`, which BPF has not."""

HIDE = 'asm "", "=r,0"'
"""An empty instruction that LLVM cannot see through: its result is its operand, of which nothing is known."""


def hide(b: Builder, pointer: str) -> str:
    """Return the same pointer, known not to be null and not to be related to anything."""
    return b.let(f"call nonnull ptr {HIDE}(ptr {pointer}) memory(none)")


def hide_integer(b: Builder, value: str) -> str:
    """Return the same 64 bits, of which LLVM knows nothing."""
    return b.let(f"call i64 {HIDE}(i64 {value}) memory(none)")


@expression(ir.Var)
def _variable(b: Builder, node: ir.Var) -> str:
    value = b.let(f"load {llvm_type(node.type)}, ptr {b.slot(node.var)}")
    return hide(b, value) if _narrowed(node) else value


def _narrowed(node: ir.Var) -> bool:
    """Whether the pointer was tested for None before.

    LLVM may compute the address of a field before the test, since it costs nothing; the verifier refuses
    arithmetic on what may be null. Hidden, the pointer exists only after the test.
    """
    kind, declared = node.type, node.var.type
    if not isinstance(kind, ir.PointerType) or not isinstance(declared, ir.PointerType):
        return False
    return declared.nullable and not kind.nullable and not kind.local


@expression(ir.AssignExpr)
def _assign_expression(b: Builder, node: ir.AssignExpr) -> str:
    value = b.value(node.value)
    b.alignment.assign(node.var, node.value)
    b.do(f"store {llvm_type(node.type)} {value}, ptr {b.slot(node.var)}")
    return value


@statement(ir.Assign)
def _assign(b: Builder, node: ir.Assign) -> None:
    value = b.value(node.value)
    b.alignment.assign(node.var, node.value)
    b.do(f"store {llvm_type(node.var.type)} {value}, ptr {b.slot(node.var)}")


@expression(ir.StorageAddress)
def _storage_address(b: Builder, node: ir.StorageAddress) -> str:
    return b.slot(node.storage)


@expression(ir.GlobalAddress)
def _global_address(b: Builder, node: ir.GlobalAddress) -> str:
    return b.module.map_value(node.map)


@expression(ir.FieldAddress)
def _field_address(b: Builder, node: ir.FieldAddress) -> str:
    return _offset(b, b.value(node.base), node.offset)


@expression(ir.ElementAddress)
def _element_address(b: Builder, node: ir.ElementAddress) -> str:
    """LLVM knows how the stack is aligned, and would add a small offset with `|`: the verifier refuses it."""
    base, index = b.value(node.base), resize(b, b.value(node.index), node.index.type, U64)
    kind = node.base.type
    if not isinstance(node.index, ir.Const) and isinstance(kind, ir.PointerType) and kind.local:
        base = hide(b, base)
    return b.let(f"getelementptr inbounds [{pointee(node).size} x i8], ptr {base}, i64 {index}")


@expression(ir.Load)
def _load(b: Builder, node: ir.Load) -> str:
    pointer, align = b.value(node.pointer), b.alignment.of_access(node.pointer)
    if isinstance(node.type, BoolType):
        return b.let(f"icmp ne i8 {b.let(f'load i8, ptr {pointer}')}, 0")
    return b.let(f"load {llvm_type(node.type)}, ptr {pointer}, align {align}")


@statement(ir.Store)
def _store(b: Builder, node: ir.Store) -> None:
    pointer, value = b.value(node.pointer), b.value(node.value)
    if isinstance(node.value.type, BoolType):
        b.do(f"store i8 {b.let(f'zext i1 {value} to i8')}, ptr {pointer}")
    else:
        kind, alignment = llvm_type(node.value.type), b.alignment.of_access(node.pointer)
        b.do(f"store {kind} {value}, ptr {pointer}, align {alignment}")


@statement(ir.Copy)
def _copy(b: Builder, node: ir.Copy) -> None:
    target, source, size = b.value(node.target), b.value(node.source), pointee(node.target).size
    to, of = b.alignment.of_copy(node.target), b.alignment.of_copy(node.source)
    done = 0
    if size > INLINE_COPY:
        done = size & ~7
        _copy_words(b, (target, to), (source, of), done)
    if done < size:
        target, source = _offset(b, target, done), _offset(b, source, done)
        b.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        arguments = f"ptr align {to} {target}, ptr align {of} {source}, i64 {size - done}, i1 false"
        b.do(f"call void @llvm.memcpy.p0.p0.i64({arguments})")


def _copy_words(b: Builder, target: tuple[str, int], source: tuple[str, int], size: int) -> None:
    """Copy `size` bytes in a loop of eight each; places are (pointer, alignment)."""
    at = b.slot(ir.Variable("copied", U64))
    body, end = b.label("copy"), b.label("copied")
    b.do(f"store i64 0, ptr {at}")
    b.place(body)
    done = b.let(f"load i64, ptr {at}")
    word = b.let(f"load i64, ptr {_offset(b, source[0], done)}, align {source[1]}")
    b.do(f"store i64 {word}, ptr {_offset(b, target[0], done)}, align {target[1]}")
    after = b.let(f"add i64 {done}, 8")
    b.do(f"store i64 {after}, ptr {at}")
    b.branch(b.let(f"icmp ult i64 {after}, {size}"), body, end)
    b.place(end)


def _offset(b: Builder, pointer: str, offset: int | str) -> str:
    return b.let(f"getelementptr inbounds i8, ptr {pointer}, i64 {offset}") if offset else pointer


@statement(ir.Zero)
def _zero(b: Builder, node: ir.Zero) -> None:
    slot, size, align = b.slot(node.storage), node.storage.type.size, storage_alignment(node.storage)
    b.module.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    b.do(f"call void @llvm.memset.p0.i64(ptr align {align} {slot}, i8 0, i64 {size}, i1 false)")


@expression(ir.Atomic)
def _atomic(b: Builder, node: ir.Atomic) -> str:
    """`add` is the instruction that every kernel has: LLVM uses it if order and result do not matter."""
    pointer, kind = b.value(node.pointer), llvm_type(node.value.type)
    if node.op == "compare_exchange" and node.expected is not None:
        expected, value = b.value(node.expected), b.value(node.value)
        pair = b.let(f"cmpxchg ptr {pointer}, {kind} {expected}, {kind} {value} seq_cst seq_cst")
        return b.let(f"extractvalue {{{kind}, i1}} {pair}, 0")
    order = "monotonic" if node.op == "add" else "seq_cst"
    op = {"exchange": "xchg"}.get(node.op, node.op.removeprefix("fetch_"))
    return b.let(f"atomicrmw {op} ptr {pointer}, {kind} {b.value(node.value)} {order}")
