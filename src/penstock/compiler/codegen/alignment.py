"""What may be said of the alignment of memory.

On the stack the truth: the verifier refuses misaligned accesses there, and LLVM splits what it is told may be
misaligned. Elsewhere each integer's own alignment, as the kernel's C headers claim it for fields of packets:
machines that run BPF well access unaligned words, and the verifier knows whether this one does.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from penstock.compiler import ir
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


def access_alignment(pointer: ir.Expr, stack: AbstractSet[ir.Variable]) -> int:
    """Return the alignment of an integer that is loaded or stored.

    `stack` has the variables that may refer to the stack, though their type does not say so.
    """
    natural = pointee(pointer).align
    return min(natural, _certain(pointer)) if may_be_stack(pointer, stack) else natural


def copy_alignment(pointer: ir.Expr, stack: AbstractSet[ir.Variable]) -> int:
    """Return the alignment of a struct or array that is copied."""
    return _certain(pointer) if may_be_stack(pointer, stack) else WORD


def may_be_stack(pointer: ir.Expr, stack: AbstractSet[ir.Variable]) -> bool:
    """Whether a pointer may refer to the stack, of this function or of one that called it."""
    if isinstance(pointer.type, ir.PointerType) and pointer.type.local:
        return True
    if isinstance(pointer, ir.Var):
        return pointer.var in stack
    return any(may_be_stack(origin, stack) for origin in _origins(pointer))


def _origins(pointer: ir.Expr) -> list[ir.Expr]:
    """Return the expressions that a pointer may be derived from."""
    match pointer:
        case ir.FieldAddress() | ir.ElementAddress():
            return [pointer.base]
        case ir.AssignExpr() | ir.Sequence():
            return [pointer.value]
        case ir.Select():
            return [pointer.then, pointer.otherwise]
        case ir.Call():
            return pointer.arguments
        case _:
            return []


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
