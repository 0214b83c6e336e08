"""Maps that refer by index to something else: interfaces, sockets, programs, other maps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from penstock.kernel.cells import pack
from penstock.kernel.interface import find_interface
from penstock.kernel.map import Map
from penstock.lang.types import resolve, u32

if TYPE_CHECKING:
    from penstock.kernel.program import Program


class HasFileno(Protocol):
    """What has a descriptor, such as a socket."""

    def fileno(self) -> int:
        """Return it."""
        ...


class References(Map):
    """Places by index, empty at first; `del` empties one again."""

    def __len__(self) -> int:
        return self.spec.entries

    def __delitem__(self, index: int) -> None:
        self._delete(self._key(index))

    def ids(self) -> dict[int, int]:
        """Return what is where: interfaces by their index, programs and maps by the kernel's numbers."""
        return {index: found for index in range(len(self)) if (found := self._get(index)) is not None}

    def _set(self, index: int, value: int) -> None:
        self._update(self._key(index), pack(resolve(u32), value))

    def _get(self, index: int) -> int | None:
        found = self._lookup(self._key(index), 4)
        return int.from_bytes(found, sys.byteorder) if found is not None else None

    def _key(self, index: int) -> bytes:
        if not 0 <= index < self.spec.entries:
            raise IndexError(f"{self._description} has no place {index}")
        return pack(resolve(u32), index)


class DevMap(References):
    """Interfaces to redirect to, of the network namespace of the thread that sets them. Linux 4.14."""

    def __getitem__(self, index: int) -> int:
        """Return the interface's index. KeyError if the place is empty, or the interface has gone."""
        found = self._get(index)
        if found is None:
            raise KeyError(index)
        return found

    def __setitem__(self, index: int, interface: str | int) -> None:
        """Set an interface, by name or index. KernelError if there is none."""
        self._set(index, find_interface(interface).index)


class XskMap(References):
    """AF_XDP sockets to redirect to. Linux 4.18."""

    def __setitem__(self, index: int, socket: HasFileno) -> None:
        self._set(index, socket.fileno())


class ProgArray(References):
    """Programs that `tail_call` continues with. They stay loaded as long as the map."""

    def __setitem__(self, index: int, program: Program) -> None:
        self._set(index, program.fileno())


class ArrayOfMaps(References):
    """Maps of one shape; programs see an exchange at once.

    When setting or emptying a place returns, no program uses any more what was there before (Linux 4.18).
    """

    def __setitem__(self, index: int, inner: Map) -> None:
        self._set(index, inner.fileno())
