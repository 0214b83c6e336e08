"""What may be said of the alignment of memory.

On the stack the truth: the verifier refuses misaligned accesses there, and LLVM splits what it is told may be
misaligned. Elsewhere each integer's own alignment, as the kernel's C headers claim it for fields of packets:
machines that run BPF well access unaligned words, and the verifier knows whether this one does.
"""

from __future__ import annotations

from penstock.compiler import ir
from penstock.lang.struct import StructType
from penstock.lang.types import Type

WORD = 8


def pointee(pointer: ir.Expr) -> Type:
    """Return the type that a typed pointer points to."""
    kind = pointer.type
    if not isinstance(kind, ir.PointerType) or kind.to is None:
        raise TypeError(f"{type(pointer).__name__} is no pointer to a type")
    return kind.to


def storage_alignment(storage: ir.Storage) -> int:
    """Return the alignment of storage: whole words if it has any, so that copies use them."""
    return WORD if storage.type.size >= WORD else storage.type.align


def access_alignment(pointer: ir.Expr) -> int:
    """Return the alignment of an integer that is loaded or stored."""
    natural = pointee(pointer).align
    return min(natural, _certain(pointer)) if _is_local(pointer) else natural


def copy_alignment(pointer: ir.Expr) -> int:
    """Return the alignment of a struct or array that is copied."""
    return _certain(pointer) if _is_local(pointer) or _may_be_callers(pointer) else WORD


def _is_local(pointer: ir.Expr) -> bool:
    return isinstance(pointer.type, ir.PointerType) and pointer.type.local


def _may_be_callers(pointer: ir.Expr) -> bool:
    """Whether a reference may be to the caller's stack: handed in, and no packed struct of a packet."""
    while isinstance(pointer, ir.FieldAddress | ir.ElementAddress):
        pointer = pointer.base
    if not isinstance(pointer, ir.Var) or not isinstance(pointer.var.type, ir.PointerType):
        return False
    kind = pointer.var.type.to
    return not pointer.var.type.nullable and not (isinstance(kind, StructType) and kind.packed)


def _certain(pointer: ir.Expr) -> int:
    """Return the alignment that follows from the types; where inlining shows the storage, LLVM finds more."""
    match pointer:
        case ir.StorageAddress():
            return storage_alignment(pointer.storage)
        case ir.FieldAddress():
            return _common(_certain(pointer.base), pointer.offset)
        case ir.ElementAddress():
            return _common(_certain(pointer.base), pointee(pointer).size)
        case _:
            return pointee(pointer).align


def _common(alignment: int, offset: int) -> int:
    """Return the largest power of two that divides both."""
    both = alignment | offset
    return both & -both
