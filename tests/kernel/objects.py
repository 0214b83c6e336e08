"""What is in the kernel: the numbers of all programs, maps and links."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from penstock.kernel.attributes import GetId
from penstock.kernel.syscall import Command, bpf

KINDS = "prog_id", "map_id", "link_id"


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

    def __or__(self, other: Objects) -> Objects:
        return Objects(self.programs | other.programs, self.maps | other.maps, self.links | other.links)

    def __bool__(self) -> bool:
        return bool(self.programs or self.maps or self.links)


def held_by(process: subprocess.Popen[str]) -> Objects:
    """Return the programs, maps and links that a process has open."""
    texts = [path.read_text() for path in Path(f"/proc/{process.pid}/fdinfo").iterdir()]
    found = (re.findall(rf"^{kind}:\s+(\d+)", "\n".join(texts), re.MULTILINE) for kind in KINDS)
    return Objects(*(frozenset(map(int, numbers)) for numbers in found))


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
