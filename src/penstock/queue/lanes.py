"""Packets leave in the order in which they arrived, though several CPUs send: none overtakes one of its lane.

A frame that XDP redirects waits in a list of its CPU until the poll ends in which that received it
(kernel/bpf/devmap.c, bq_enqueue). What another CPU sends meanwhile may leave before it. So what may not
overtake such a frame has to leave by the same CPU, or in a frame of the same receive queue, the polls of
which come one after the other, or else a while later. Until then it is parked: out of the scheduler, with
those of its lane behind it. The drain goes to the CPU by which such packets may leave at once.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import Array, Global, Struct, Xdp, array, helpers, u32, u64
from penstock.queue.bits import lowest_bit
from penstock.queue.packets import Packets, QueuedPacket

LANES: Final = 64
"""A receive queue of an interface has one; some may share it."""

DRAIN: Final = 0
"""The carrier of what the drain sends: no frame's."""

POLLER: Final = 1
"""The first of those of drains that poll: each has its own, of which no frame has one either."""

SETTLED: Final = 3
"""Ticks of the kernel's after which a redirected frame has left its CPU: 2 ms at least, at 1000 Hz. A poll of
64 frames (NAPI_POLL_WEIGHT) takes a fifth of that, where no hypervisor takes the CPU away."""

PARKED: Final = 64
"""Packets at most; if more would have to wait, the scheduler is not asked."""


class Lane(Struct):
    """What left last of a lane, and what of it is parked."""

    sent: u64
    """When, in ticks; 0 if nothing of it can be under way."""
    cpu: u32
    """By which CPU."""
    carrier: u32
    """In a frame of which carrier."""
    head: u32
    """Number of the first packet that is parked, and one; 0 if none is."""
    tail: u32


class Parking(Struct):
    """All lanes of a queue."""

    busy: u64
    """Lanes of which packets are parked, a bit each."""
    count: u32
    """Packets that are."""
    lanes: Array[Lane] = array(LANES)


def carrier_of(packet: Xdp) -> u32:
    """Return which receive queue a frame came by, all of which are polled one after the other."""
    return packet.ifindex << 16 | packet.rx_queue


def lane_of(carrier: u32) -> u32:
    """Return the lane of a frame that arrives: packets of a flow arrive by one receive queue."""
    return ((carrier >> 16) * 17 + carrier) & (LANES - 1)


class Lanes:
    """The lanes of one queue. Only the queue's owner of the moment calls what is here."""

    def __init__(self, packets: Packets) -> None:
        self.packets = packets
        self.parking = Global(Parking, name="parking")

    def may_leave(self, lane: u32, carrier: u32, cpu: u32) -> bool:
        """Whether a packet of a lane, sent by a CPU in a frame of `carrier`, comes after all before it."""
        last = self.parking.value.lanes[lane & (LANES - 1)]
        return last.cpu == cpu or last.carrier == carrier or helpers.jiffies64() - last.sent >= SETTLED

    def comes_next(self, lane: u32, carrier: u32, cpu: u32) -> bool:
        """Whether it may, and none is parked before it: the clock may have ticked since that was asked."""
        return self.parking.value.lanes[lane & (LANES - 1)].head == 0 and self.may_leave(lane, carrier, cpu)

    def redirected(self, lane: u32, carrier: u32, cpu: u32) -> None:
        """Note that a packet of a lane leaves in a frame of `carrier`."""
        last = self.parking.value.lanes[lane & (LANES - 1)]
        last.sent, last.cpu, last.carrier = helpers.jiffies64(), cpu, carrier

    def gone(self, lane: u32) -> None:
        """Note that the last packet of a lane has left its CPU."""
        self.parking.value.lanes[lane & (LANES - 1)].sent = 0

    def park(self, packet: QueuedPacket) -> None:
        """Have a packet wait that comes from the scheduler, behind all that are parked of its lane."""
        parking = self.parking.value
        lane = parking.lanes[u32(packet.lane) & (LANES - 1)]
        packet.following = 0
        before = self.packets.at(lane.tail - 1) if lane.head != 0 else None
        if before is None:
            lane.head = packet.slot + 1
        else:
            before.following = packet.slot + 1
        lane.tail = packet.slot + 1
        parking.busy |= u64(1) << u64(packet.lane & (LANES - 1))
        parking.count += 1

    def put_back(self, packet: QueuedPacket) -> None:
        """Have a packet wait that could not be sent, before all that are parked of its lane."""
        parking = self.parking.value
        lane = parking.lanes[u32(packet.lane) & (LANES - 1)]
        if lane.head == 0:
            lane.tail = packet.slot + 1
        packet.following = lane.head
        lane.head = packet.slot + 1
        parking.busy |= u64(1) << u64(packet.lane & (LANES - 1))
        parking.count += 1

    def leave(self, carrier: u32, cpu: u32) -> u32:
        """Take out a packet that may leave now: its number and one; 0 if there is none."""
        parking = self.parking.value
        left = parking.busy
        if parking.count == 0:
            return 0
        for _ in range(LANES):
            number = lowest_bit(left)
            if number >= LANES:
                break
            if self.may_leave(number, carrier, cpu):
                return self._first(number)
            left &= left - 1
        return 0

    def _first(self, number: u32) -> u32:
        parking = self.parking.value
        lane = parking.lanes[number & (LANES - 1)]
        first = lane.head
        packet = self.packets.at(first - 1)
        lane.head = packet.following if packet is not None else 0
        if lane.head == 0:
            parking.busy &= ~(u64(1) << u64(number))
        parking.count -= 1
        return first

    def is_full(self) -> bool:
        """Whether the scheduler is not to be asked for more."""
        return self.parking.value.count >= PARKED

    def where(self) -> u32:
        """Return by which CPU a packet that is parked may leave at once, and one; 0 if none is parked."""
        parking = self.parking.value
        number = lowest_bit(parking.busy)
        return parking.lanes[number].cpu + 1 if number < LANES else u32(0)
