"""Network interfaces of the calling thread's network namespace, by name or index."""

from __future__ import annotations

import difflib
import socket
from dataclasses import dataclass

from penstock.errors import KernelError


@dataclass(frozen=True)
class Interface:
    """An interface as it was found."""

    name: str
    index: int

    def __str__(self) -> str:
        return self.name


def find_interface(which: str | int) -> Interface:
    """Find an interface by name or index; KernelError, with names that are near, if there is none."""
    existing = {name: index for index, name in socket.if_nameindex()}
    if isinstance(which, int):
        names = [name for name, index in existing.items() if index == which]
        if not names:
            raise KernelError(f"no interface has index {which}: there {_list(list(existing))}")
        return Interface(names[0], which)
    if which not in existing:
        near = difflib.get_close_matches(which, existing, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there {_list(list(existing))}"
        raise KernelError(f"no interface {which}: {hint}")
    return Interface(which, existing[which])


def _list(names: list[str]) -> str:
    return f"are {', '.join(names)}" if len(names) > 1 else f"is only {names[0]}" if names else "are none"
