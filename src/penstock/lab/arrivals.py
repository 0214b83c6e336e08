"""When UDP packets arrive, to the ns: an XDP program notes it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import penstock
from penstock.lab.namespace import LabError
from penstock.lang import XDP_DROP, XDP_PASS, RingBuf, Struct, Xdp, helpers, u32, u64, xdp
from penstock.net.ethernet import Link
from penstock.net.ip import Found, Layers, Protocol, read_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penstock.lab.host import Interface

_ROOM: Final = 1 << 26
"""Bytes of the ring: for 2.8 million packets."""

_NO_WAKEUP: Final = 1


class Arrival(Struct):
    """A packet: when it was there, ns of CLOCK_MONOTONIC, and the bytes of its frame."""

    time: u64
    length: u32
    reserved: u32


arrivals = RingBuf(Arrival, _ROOM)


@xdp
def note(packet: Xdp) -> int:
    """Note UDP, and drop it; let all else pass."""
    layers = Layers()
    if read_layers(packet, Link.ETHERNET, layers) < Found.TRANSPORT or layers.protocol != Protocol.UDP:
        return XDP_PASS
    record = arrivals.reserve()
    if record is not None:
        record.time = helpers.ktime_get_ns()
        record.length = packet.length
        arrivals.submit(record, _NO_WAKEUP)
    return XDP_DROP


class Arrivals(ExitStack):
    """Notes when UDP packets arrive at an interface, and drops them: nobody there gets them.

    A context manager. Packets that XDP redirects are noted as others are. On a veth the time is when the
    receiver's poll takes the packet, in the same softirq in which it was sent, after up to 63 others.
    """

    def __init__(self, interface: Interface) -> None:
        super().__init__()
        self._interface = interface

    def __enter__(self) -> Self:
        super().__enter__()
        with self._interface.host.enter():
            loaded = self.enter_context(penstock.load(note))
            loaded.attach_xdp(note, self._interface.index)
        self._ring = loaded[arrivals]
        return self

    def read(self) -> NDArray[Any]:
        """Return those since the last time: an array with the `time` and `length` of each, in order.

        LabError if there were more than there is room for.
        """
        found = self._ring.read()
        if self._ring.lost:
            raise LabError(f"{self._interface.name}: {self._ring.lost} packets more than can be noted")
        found.sort(order="time")
        return found
