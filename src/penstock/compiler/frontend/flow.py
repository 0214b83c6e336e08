"""Flow typing: what is known of each name at a point of the function.

An `Env` maps each name that is certainly assigned to its type there (a nullable pointer that was tested is not
nullable) or to its static value. Where two ways meet, what both know remains. None stands for a point that is never reached.
"""

from __future__ import annotations

from typing import TypeAlias

from penstock.compiler import ir
from penstock.compiler.frontend.values import NONE, Static
from penstock.lang.types import Type

Known: TypeAlias = Type | Static
Env: TypeAlias = dict[str, Known]


def join(*ways: Env | None) -> Env | None:
    """What holds when control may come from any of `ways`."""
    reached = [way for way in ways if way is not None]
    if not reached:
        return None
    result = dict(reached[0])
    for way in reached[1:]:
        for name in list(result):
            both = _join(result[name], way[name]) if name in way else None
            if both is None:
                del result[name]
            else:
                result[name] = both
    return result


def _join(left: Known, right: Known) -> Known | None:
    if isinstance(left, ir.PointerType) and isinstance(right, ir.PointerType):
        return merge_pointers(left, right)
    return left if left == right else None


def merge_pointers(left: ir.PointerType, right: ir.PointerType) -> ir.PointerType | None:
    """The pointer type that covers both, or None if they point to different types."""
    if left.to != right.to and NONE.to not in (left.to, right.to):
        return None
    return ir.PointerType(
        left.to or right.to, nullable=left.nullable or right.nullable, local=left.local or right.local
    )


def not_none(kind: Known) -> Known:
    """The type once None is ruled out."""
    if isinstance(kind, ir.PointerType):
        return ir.PointerType(kind.to, nullable=False, local=kind.local)
    return kind
