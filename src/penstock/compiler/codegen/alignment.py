"""What may be said of the alignment of memory.

On the stack the truth: the verifier refuses misaligned accesses there, and LLVM splits what it is told may be
misaligned. Elsewhere each integer's own alignment, as the kernel's C headers claim it for fields of packets:
machines that run BPF well access unaligned words, and the verifier knows whether this one does.
"""

from __future__ import annotations

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


class Alignment:
    """What is known in one function: the alignment of the places on the stack that variables refer to."""

    def __init__(self) -> None:
        self._known: dict[ir.Variable, int] = {}

    def assign(self, variable: ir.Variable, value: ir.Expr) -> None:
        """Note what a variable refers to."""
        if _is_local(value):
            self._known[variable] = min(self._known.get(variable, WORD), self._certain(value))

    def of_access(self, pointer: ir.Expr) -> int:
        """Return the alignment of an integer that is loaded or stored."""
        natural = pointee(pointer).align
        return min(natural, self._certain(pointer)) if _is_local(pointer) else natural

    def of_copy(self, pointer: ir.Expr) -> int:
        """Return the alignment of a struct or array that is copied."""
        return self._certain(pointer) if _is_local(pointer) else WORD

    def _certain(self, pointer: ir.Expr) -> int:
        """Return the alignment on the stack; where inlining shows the storage, LLVM finds more."""
        match pointer:
            case ir.StorageAddress():
                return storage_alignment(pointer.storage)
            case ir.FieldAddress():
                return _common(self._certain(pointer.base), pointer.offset)
            case ir.ElementAddress():
                return _common(self._certain(pointer.base), pointee(pointer).size)
            case ir.Var():
                return self._known.get(pointer.var, pointee(pointer).align)
            case _:
                return pointee(pointer).align


def _is_local(pointer: ir.Expr) -> bool:
    return isinstance(pointer.type, ir.PointerType) and pointer.type.local


def _common(alignment: int, offset: int) -> int:
    """Return the largest power of two that divides both."""
    both = alignment | offset
    return both & -both
