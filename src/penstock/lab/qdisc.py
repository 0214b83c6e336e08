"""The kernel's own queue before a link: what hosts and routers have without penstock."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pyroute2.netlink.exceptions import NetlinkError

from penstock.lab.namespace import LabError

if TYPE_CHECKING:
    from penstock.lab.host import Interface

_FRAME: Final = 1514
"""Bytes of a full frame."""

_SLOWEST: Final = 10_000
_FASTEST: Final = 8 * ((1 << 32) - 1)
"""bit/s: the kernel is told in 32 bits of bytes."""

_ROOT: Final = 0xFFFF_FFFF
"""Where an interface's own queue is (TC_H_ROOT, include/uapi/linux/pkt_sched.h)."""

_SECOND: Final = 1_000_000_000


@contextmanager
def shaped(interface: Interface, rate: int, *, burst: int = 1_000_000, limit: int = 1000) -> Generator[None]:
    """Have an interface send no faster than a rate, while a `with` block lasts: a token bucket and a FIFO.

    It is tbf, with a FIFO that is limited in bytes: a packet that stands for many (GSO) counts as many.

    Args:
        interface: Whose packets. What XDP redirects passes by.
        rate: bit/s, from 10 kbit/s to 34 Gbit/s. A frame counts with its Ethernet header, as for penstock's.
        burst: ns that may be made up for, and two full frames at least.
        limit: Full frames that may wait.

    Raises:
        LabError: The rate cannot be, the kernel has no tbf, or the interface has such a queue already.
    """
    if not _SLOWEST <= rate <= _FASTEST:
        raise LabError(f"cannot shape {interface.name} to {rate} bit/s: from {_SLOWEST} to {_FASTEST}")
    netlink, index = interface.host.netlink, interface.index
    size, room = max(rate * burst // (8 * _SECOND), 2 * _FRAME), limit * _FRAME
    try:
        netlink.tc("add", "tbf", index, parent=_ROOT, rate=rate // 8, burst=size, limit=room)
    except NetlinkError as error:
        raise LabError(f"cannot shape {interface.name}, by tbf: {error.args[1]}") from error
    try:
        yield
    finally:
        netlink.tc("del", index=index, parent=_ROOT)
