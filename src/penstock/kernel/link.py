"""What a program is attached by."""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from penstock.errors import KernelError
from penstock.kernel.attributes import LinkCreate, LinkInfo
from penstock.kernel.handle import Handle, object_info
from penstock.kernel.interface import Interface
from penstock.kernel.pins import open_pin
from penstock.kernel.program import program_name
from penstock.kernel.syscall import Command, bpf

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.kernel.program import Program

_KINDS: Final = {(6, 0): "XDP", (11, 46): "TCX ingress", (11, 47): "TCX egress"}
"""By BPF_LINK_TYPE_ and, where the kernel tells it, the attach type."""


class Link(ABC):
    """A program attached to an interface, until `close` or the end of a `with` block."""

    program: str
    """Its name."""

    interface: Interface

    how: str
    """Which way it is attached, for people: "XDP native", "TCX ingress", "clsact egress"."""

    @abstractmethod
    def alive(self) -> bool:
        """Whether it is still attached: not so once the interface is gone."""

    @abstractmethod
    def close(self) -> None:
        """Detach. Closing twice is allowed, and so is an interface that is gone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BpfLink(Handle, Link):
    """A link of the kernel's own: it goes with the last process that holds it, however that ends."""

    def __init__(self, program: str, interface: Interface, how: str, descriptor: int) -> None:
        self.program, self.interface, self.how = program, interface, how
        super().__init__(descriptor, f"link of {program} to {interface} ({how})")

    @property
    def id(self) -> int:
        """The kernel's number for it, as `bpftool link` shows it."""
        return object_info(self.fileno(), LinkInfo).id

    def alive(self) -> bool:
        """Whether it is still attached: the kernel forgets the interface's index when it goes."""
        return object_info(self.fileno(), LinkInfo).ifindex != 0


def open_link(path: str | os.PathLike[str]) -> BpfLink:
    """Open a link that was pinned at `path`; to detach for good, remove the pin and close the link.

    KernelError if there is none, or none of XDP or TCX.
    """
    descriptor = open_pin(path)
    info = object_info(descriptor, LinkInfo)
    how = _KINDS.get((info.type, info.attach_type))
    if how is None:
        os.close(descriptor)
        raise KernelError(f"cannot open the pin {os.fspath(path)}: no link of XDP or TCX")
    try:
        name = socket.if_indextoname(info.ifindex)
    except OSError:  # gone, or in another network namespace
        name = str(info.ifindex)
    return BpfLink(program_name(info.prog_id), Interface(name, info.ifindex), how, descriptor)


def create_link(program: Program, interface: Interface, attach_type: int, flags: int) -> int:
    """Attach and return the link's descriptor; OSError if the kernel refuses."""
    return bpf(Command.LINK_CREATE, LinkCreate(program.fileno(), interface.index, attach_type, flags))
