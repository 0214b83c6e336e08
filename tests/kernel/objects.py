"""What is in the kernel: the numbers of all programs, maps and links."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from penstock.kernel.attributes import GetId
from penstock.kernel.syscall import Command, bpf


@dataclass(frozen=True)
class Objects:
    """The numbers of what the kernel holds."""

    programs: frozenset[int]
    maps: frozenset[int]
    links: frozenset[int]

    @classmethod
    def now(cls) -> Self:
        commands = Command.PROG_GET_NEXT_ID, Command.MAP_GET_NEXT_ID, Command.LINK_GET_NEXT_ID
        return cls(*(frozenset(_ids(command)) for command in commands))

    def __sub__(self, earlier: Objects) -> Objects:
        return Objects(self.programs - earlier.programs, self.maps - earlier.maps, self.links - earlier.links)

    def __bool__(self) -> bool:
        return bool(self.programs or self.maps or self.links)


def wait_until_gone(new: Objects, seconds: float = 5) -> None:
    """Wait until none of these is left: the kernel frees them after a grace period, on its own time."""
    end = time.monotonic() + seconds
    while left := _common(Objects.now(), new):
        assert time.monotonic() < end, f"still in the kernel: {left}"
        time.sleep(0.02)


def _common(one: Objects, other: Objects) -> Objects:
    return Objects(one.programs & other.programs, one.maps & other.maps, one.links & other.links)


def _ids(command: Command) -> list[int]:
    found: list[int] = []
    position = GetId()
    while True:
        try:
            bpf(command, position)
        except FileNotFoundError:
            return found
        found.append(position.next_id)
        position = GetId(start=position.next_id)
