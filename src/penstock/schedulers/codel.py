"""Controlled delay: drops, or marks, when packets have waited too long for too long.

Nichols, Jacobson, McGregor and Iyengar, Controlled Delay Active Queue Management (RFC 8289), section 5, with
marks, and the reciprocal root by Newton's method in fixed point, as in Linux (include/net/codel_impl.h).
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Struct, global_subprogram, u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.units import duration, size

MAX_DROPS: Final = 64
"""More that are due at one dequeue are dropped at the next."""


class Control(Struct):
    """What CoDel knows of a list of packets."""

    first_above: u64
    """When the packets will have been late for an interval, in ns; 0 if the last one was not late."""
    drop_next: u64
    count: u32
    """Drops since it began to drop."""
    last_count: u32
    """What that was when it last began."""
    root: u32
    """1 / sqrt(count), in units of 2**-32."""
    dropping: u32
    may_drop: u32
    """Whether packets have been late for an interval."""


class Codel(Scheduler):
    """Drops a packet, or marks it, once packets have waited longer than the target for an interval.

    When as many packets wait as can, one that arrives is dropped.
    """

    target = Tunable(duration, "5ms", "how long packets may wait")
    interval = Tunable(duration, "100ms", "for how long they may wait longer: a round-trip time")
    mtu = Parameter(size, "1514", "a backlog of so many bytes is never too long")

    def setup(self) -> None:
        self.make_lists(1)

    def make_lists(self, count: int) -> None:
        """Make so many lists of packets, each under its own control."""
        self.waiting = Fifos(self.packets, count)
        self.controls = ArrayMap(Control, count, name="codel")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.append(packet)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.next_of(0, now)

    def next_of(self, number: u32, now: u64) -> QueuedPacket | None:
        """Take the next packet to send out of a list, and drop what is in its way."""
        control = self.controls.lookup(number)
        if control is None:
            return None
        packet = self.packets.at(self._pop(number, now) - 1)
        if control.dropping == 0:
            if packet is None or control.may_drop == 0:
                return packet
            return self._start(control, packet, number, now)
        for _ in range(MAX_DROPS):
            if packet is None or control.may_drop == 0 or now < control.drop_next:
                break
            control.count += 1
            control.root = refined(control.root, control.count)
            if packet.ecn != 0:
                packet.mark = 1
                control.drop_next = self._following(control.drop_next, control)
                break
            self.drop(packet)
            packet = self.packets.at(self._pop(number, now) - 1)
            if control.may_drop != 0:
                control.drop_next = self._following(control.drop_next, control)
        control.dropping = control.may_drop
        return packet

    def _start(self, control: Control, packet: QueuedPacket, number: u32, now: u64) -> QueuedPacket | None:
        """Drop or mark a first packet, at once as often as was needed last time if that is not long ago."""
        recent = control.count - control.last_count
        if recent > 1 and now < control.drop_next + 16 * self.interval.value:
            control.count = recent
            control.root = refined(control.root, recent)
        else:
            control.count, control.root = 1, 0xFFFF_FFFF
        control.last_count, control.dropping = control.count, 1
        control.drop_next = self._following(now, control)
        if packet.ecn != 0:
            packet.mark = 1
            return packet
        self.drop(packet)
        return self.packets.at(self._pop(number, now) - 1)

    def _following(self, last: u64, control: Control) -> u64:
        """The control law: after `last` by the interval over the root of the count."""
        return last + (self.interval.value * u64(control.root >> 16) >> 16)

    @global_subprogram
    def _pop(self, number: u32, now: u64) -> u32:
        """Take out a list's first packet, and judge how long packets wait: its number and one, 0 if none."""
        control = self.controls.lookup(number)
        backlog = self.waiting.backlog(number)
        packet = self.waiting.pop(number)
        if control is None or backlog is None:
            return 0
        control.may_drop = 0
        if packet is None or now < packet.arrival + self.target.value or backlog.bytes <= self.mtu:
            control.first_above = 0
        elif control.first_above == 0:
            control.first_above = now + self.interval.value
        elif now >= control.first_above:
            control.may_drop = 1
        return packet.slot + 1 if packet is not None else 0


def refined(root: u32, count: u32) -> u32:
    """One step of Newton's method towards 1 / sqrt(count): root * (3 - count * root**2) / 2."""
    square = u64(root) * u64(root) >> 32
    return u32(((3 << 32) - u64(count) * square >> 2) * u64(root) >> 31)
