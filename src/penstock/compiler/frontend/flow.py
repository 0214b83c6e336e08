"""Flow typing: what is known of each name at a point of the function.

An `Env` holds what is known of each name that is certainly assigned: its type there (a nullable reference
that was tested is not nullable), its static value, or why it cannot be used. Where ways meet, what all know
remains. None stands for a point that is never reached. An Env is never changed, only replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from penstock.compiler import ir
from penstock.compiler.frontend.values import Static
from penstock.lang.types import Type


@dataclass(frozen=True)
class Lost:
    """A name that is assigned and cannot be used; `why` goes on after the name."""

    why: str


Known: TypeAlias = Type | Static | Lost
Env: TypeAlias = Mapping[str, Known]


def join(*ways: Env | None) -> Env | None:
    """What holds when control may come from any of `ways`."""
    result: Env | None = None
    for way in ways:
        if result is None or way is None or result is way:
            result = way if result is None else result
        else:
            both = result.keys() & way.keys()
            result = {name: _join(known, way[name]) for name, known in result.items() if name in both}
    return result


def _join(left: Known, right: Known) -> Known:
    if left == right or isinstance(left, Lost):
        return left
    if isinstance(right, Lost):
        return right
    if isinstance(left, ir.PointerType) and isinstance(right, ir.PointerType):
        merged = merge_pointers(left, right)
        if merged:
            return merged
    return Lost("stands for different things, depending on the way that leads here")


def merge_pointers(left: ir.PointerType, right: ir.PointerType) -> ir.PointerType | None:
    """The pointer type that covers both, or None if they point to different types."""
    if left.to and right.to and left.to != right.to:
        return None
    return ir.PointerType(
        left.to or right.to,
        nullable=left.nullable or right.nullable,
        local=left.local or right.local,
        storages=left.storages | right.storages,
    )


def not_none(env: Env, name: str) -> Env:
    """What is known once None is ruled out for a name."""
    kind = env.get(name)
    return {**env, name: replace(kind, nullable=False)} if isinstance(kind, ir.PointerType) else env


def without(env: Env, storage: ir.Storage) -> Env:
    """What is known when `storage` is made anew: names for what it was before are lost."""
    why = f"may refer to the {storage.name} of an earlier round, which is made again: copy what is needed"
    return {name: Lost(why) if refers_to(known, storage) else known for name, known in env.items()}


def refers_to(known: Known | None, storage: ir.Storage) -> bool:
    """Whether a reference may be one to `storage`."""
    return isinstance(known, ir.PointerType) and storage in known.storages
