"""tc programs by a clsact qdisc and its filters, over netlink: for kernels that have no TCX. Linux 4.5.

A filter is nobody's descriptor: it stays when its process is killed. So each says in its name who put it
there, and whoever attaches next removes those whose owner is dead, and the qdisc with the last of them if it
was penstock's. Filters and qdiscs of others are never touched.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from penstock.errors import KernelError
from penstock.kernel.attempt import attempt
from penstock.kernel.capabilities import Capability
from penstock.kernel.link import Link
from penstock.kernel.netns import Network

if TYPE_CHECKING:
    from collections.abc import Generator

    from penstock.kernel.interface import Interface
    from penstock.kernel.program import Program
    from penstock.kernel.tcx import Direction

# include/uapi/linux/pkt_sched.h
_CLSACT: Final = 0xFFFFFFF1
_PARENTS: Final = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
_ETH_P_ALL: Final = 3
_LATE, _LAST = 0xC000, 0xFFFF  # priorities, 16 bits; the kernel's own choice starts at the first

_serial = itertools.count(1)


@dataclass(frozen=True)
class Label:
    """The name of a filter of penstock's."""

    namespace: int
    """Of the owner's process numbers."""

    process: int
    started: int | None
    """When the owner did, in ticks since boot: process numbers come back."""

    serial: int

    own: bool
    """Whether the qdisc is penstock's, to be removed with its last filter."""

    def __str__(self) -> str:
        return f"penstock:{self.namespace}:{self.process}:{self.started}:{self.serial}:{int(self.own)}"

    @classmethod
    def parse(cls, name: str) -> Label | None:
        """Return the label that a filter's name is, or None."""
        found = re.fullmatch(r"penstock:(\d+):(\d+):(\d+):(\d+):([01])", name)
        if found is None:
            return None
        namespace, process, started, serial, own = map(int, found.groups())
        return cls(namespace, process, started, serial, bool(own))

    @classmethod
    def new(cls, *, own: bool) -> Label:
        """Return one that no other filter has."""
        return cls(_process_namespace(), os.getpid(), _started(os.getpid()), next(_serial), own)

    def orphaned(self) -> bool:
        """Whether the owner is dead; of one in another process namespace that cannot be known, so no."""
        return self.namespace == _process_namespace() and self.started != _started(self.process)


@dataclass(frozen=True)
class Filter:
    """A filter of a clsact qdisc, as the kernel lists it."""

    index: int
    parent: int
    handle: int
    info: int
    """Priority in the upper, protocol in the lower half."""

    label: Label | None


class ClsactLink(Link):
    """A filter that runs a program. Detached by `close`, or when the process exits; not by SIGKILL."""

    def __init__(self, program: Program, interface: Interface, direction: Direction, *, first: bool) -> None:
        self.program, self.interface, self.how = program.name, interface, f"clsact {direction}"
        self._network = Network()
        self._parent = _PARENTS[direction]
        description = f"link of {program.name} to {interface} ({self.how})"
        try:
            with _asking(f"attach {program.name} to {interface} by {self.how}", self._network) as netlink:
                sweep(netlink)
                self._label = _add(netlink, program, interface, self._parent, first=first)
        except BaseException:
            self._network.close()
            raise
        where = (self._network, interface.index, self._parent, self._label)
        self._forgotten = weakref.finalize(self, _forget, description, *where)
        self._where = where

    def alive(self) -> bool:
        """Whether the filter is still there."""
        if not self._forgotten.alive:
            return False
        with _asking(f"look at {self.interface}", self._network) as netlink:
            return any(
                each.label == self._label for each in _filters(netlink, self.interface.index, self._parent)
            )

    def close(self) -> None:
        """Detach. Closing twice is allowed, and so is an interface that is gone."""
        if self._forgotten.detach() is not None:
            _detach(*self._where)


def sweep(netlink: Any) -> None:
    """Remove what penstock processes that were killed have left in the network namespace of `netlink`."""
    for qdisc in netlink.get_qdiscs():
        if qdisc.get_attr("TCA_KIND") != "clsact":
            continue
        for parent in _PARENTS.values():
            for each in _filters(netlink, qdisc["index"], parent):
                if each.label is not None and each.label.orphaned():
                    _remove(netlink, each)


def _add(netlink: Any, program: Program, interface: Interface, parent: int, *, first: bool) -> Label:
    created = _ensure_qdisc(netlink, interface)
    there = [each for p in _PARENTS.values() for each in _filters(netlink, interface.index, p)]
    label = Label.new(own=created or any(each.label is not None and each.label.own for each in there))
    last = max((each.info >> 16 for each in there if each.parent == parent), default=_LATE - 1)
    try:
        netlink.tc(
            "add-filter",
            "bpf",
            interface.index,
            parent=parent,
            prio=0 if first else min(last + 1, _LAST),  # 0: the kernel takes one before all others
            protocol=_ETH_P_ALL,
            fd=program.fileno(),
            name=str(label),
            direct_action=True,
        )
    except NetlinkError:
        if created:
            netlink.tc("del", "clsact", interface.index)
        raise
    return label


def _ensure_qdisc(netlink: Any, interface: Interface) -> bool:
    """Have a clsact qdisc on the interface; whether it had to be made."""
    for qdisc in netlink.get_qdiscs(interface.index):
        if qdisc["parent"] == _CLSACT:
            kind = qdisc.get_attr("TCA_KIND")
            if kind != "clsact":  # `ingress` takes filters for egress, too, and runs them on ingress
                there = f"its place on {interface} is taken by an {kind} qdisc"
                raise KernelError(f"cannot use clsact: {there}: tc qdisc del dev {interface} {kind}")
            return False
    netlink.tc("add", "clsact", interface.index)
    return True


def _filters(netlink: Any, index: int, parent: int) -> list[Filter]:
    found: list[Filter] = []
    for message in netlink.get_filters(index=index, parent=parent):
        options = message.get_attr("TCA_OPTIONS")
        name = options.get_attr("TCA_BPF_NAME") if message.get_attr("TCA_KIND") == "bpf" and options else None
        label = Label.parse(name) if name else None
        found.append(Filter(index, parent, message["handle"], message["info"], label))
    return found


def _remove(netlink: Any, each: Filter) -> None:
    """Remove a filter of penstock's, and the qdisc if it is penstock's too and has no other."""
    netlink.tc("del-filter", "bpf", each.index, each.handle, parent=each.parent, info=each.info)
    others = any(_filters(netlink, each.index, parent) for parent in _PARENTS.values())
    if each.label is not None and each.label.own and not others:
        netlink.tc("del", "clsact", each.index)


def _detach(network: Network, index: int, parent: int, label: Label) -> None:
    with contextlib.closing(network), _asking(f"detach from interface {index}", network) as netlink:
        for each in _filters(netlink, index, parent):
            if each.label == label:
                _remove(netlink, each)


def _forget(description: str, network: Network, index: int, parent: int, label: Label) -> None:
    _detach(network, index, parent, label)
    warnings.warn(f"{description} was never closed", ResourceWarning, stacklevel=2)


@contextlib.contextmanager
def _asking(action: str, network: Network) -> Generator[Any]:
    """Talk netlink in a network namespace; KernelError for what the kernel refuses."""
    with attempt(action, Capability.NET_ADMIN), network.netlink() as netlink:
        try:
            yield netlink
        except NetlinkError as error:
            raise OSError(error.code, error.args[-1]) from error  # pyright: ignore[reportUnknownArgumentType]


def _process_namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _started(process: int) -> int | None:
    """Return when a process started, in ticks since boot (proc(5), /proc/pid/stat), or None."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(status.rpartition(")")[2].split()[19])
