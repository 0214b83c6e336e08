"""The root of a chain that is on an interface already: recognised as penstock's, held, exchanged."""

from __future__ import annotations

import ctypes
import errno
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from penstock.errors import KernelError
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import GetId, LinkInfo, LinkUpdate, MapInfo, ProgInfo
from penstock.kernel.capabilities import Capability
from penstock.kernel.handle import Handle, object_info
from penstock.kernel.program import Program
from penstock.kernel.references import ProgArray
from penstock.kernel.root import FORWARD, MEASURE, ROOT
from penstock.kernel.syscall import Command, bpf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.lang import maps as lang

Stage = Literal["measure", "forward"]
"""What a program of a chain does with packets; the verdict of the one that measures does not count."""

STAGES: Final[dict[Stage, lang.ProgArray]] = {"measure": MEASURE, "forward": FORWARD}

_REPLACE: Final = 4  # BPF_F_REPLACE
_XDP: Final = 6  # BPF_LINK_TYPE_XDP


class ChangedError(KernelError):
    """What is on the interface changes, or may soon: it is worth to look again."""


@dataclass(frozen=True)
class Found:
    """A root, its link and its arrays: held, so that they stay."""

    root: Program
    link: Handle
    arrays: dict[Stage, ProgArray]

    def exchange(self, root: Program) -> None:
        """Put another root in the place of this one. ChangedError if this one is no longer there."""
        update = LinkUpdate(self.link.fileno(), root.fileno(), _REPLACE, self.root.fileno())
        with attempt("exchange the root of a chain"):
            try:
                bpf(Command.LINK_UPDATE, update)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOLINK):  # another root, detached: bpf_xdp_link_update
                    raise ChangedError("the root of the chain has changed") from error
                raise


def find_root(number: int, held: ExitStack) -> Found | None:
    """Return the program with this number as a root, which stays until `held` goes; None if it is none.

    ChangedError if it is going; KernelError without CAP_SYS_ADMIN.
    """
    root = held.enter_context(open_root(number))
    if object_info(root.fileno(), ProgInfo).name.decode() != ROOT.name:
        return None
    arrays: dict[Stage, ProgArray] = {}
    for each in _maps(root):
        array = held.enter_context(ProgArray(MEASURE, _open(Command.MAP_GET_FD_BY_ID, each)))
        name = object_info(array.fileno(), MapInfo).name.decode()
        arrays |= {stage: array for stage, spec in STAGES.items() if spec.name == name}
    if len(arrays) != len(STAGES):
        return None
    return Found(root, held.enter_context(_link(number)), arrays)


def open_root(number: int) -> Program:
    """Open the program with this number. Errors as for `find_root`."""
    return Program(_open(Command.PROG_GET_FD_BY_ID, number), ROOT.name, ROOT.kind)


def _maps(program: Program) -> list[int]:
    """Return the numbers of its maps, if it has as many as a root."""
    numbers = (ctypes.c_uint32 * len(STAGES))()
    info = object_info(
        program.fileno(), lambda: ProgInfo(nr_map_ids=len(numbers), map_ids=ctypes.addressof(numbers))
    )
    return list(numbers) if info.nr_map_ids == len(numbers) else []


def _link(number: int) -> Handle:
    """Return the XDP link of the program with this number."""
    for each in _links():
        with suppress(ChangedError), ExitStack() as others:
            link = others.enter_context(Handle(_open(Command.LINK_GET_FD_BY_ID, each), f"link {each}"))
            info = object_info(link.fileno(), LinkInfo)
            if (info.type, info.prog_id) == (_XDP, number):
                others.pop_all()
                return link
    raise ChangedError(f"XDP program {number} has no link")


def _links() -> Iterator[int]:
    """Yield the numbers of all links."""
    position = GetId()
    with suppress(FileNotFoundError):  # after the last
        while True:
            bpf(Command.LINK_GET_NEXT_ID, position)
            yield position.next_id
            position = GetId(start=position.next_id)


def _open(command: Command, number: int) -> int:
    """Return a descriptor of what has this number."""
    with attempt(f"look at what is attached ({command.name} {number})", Capability.SYS_ADMIN):
        try:
            return bpf(command, GetId(number))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EAGAIN):  # gone, or not yet there
                raise ChangedError("the XDP program that was there has gone") from error
            raise
