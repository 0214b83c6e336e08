"""Packets that wait: what schedulers know of each, and which numbers are free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.lang import Array, ArrayMap, Global, Struct, array, be16, u8, u16, u32, u64
from penstock.net.ip import Address

if TYPE_CHECKING:
    from penstock.queue.frames import Frames

MAX_SLOTS: Final = 1 << 20
NO_GENERATION: Final = 3
"""Of packets that are in no scheduler; the others count 0, 1, 2 and again 0."""


class QueuedPacket(Struct):
    """A packet that waits, as schedulers see it: 56 bytes."""

    arrival: u64
    """When it came: ns, CLOCK_MONOTONIC."""
    rank: u64
    """The last one it was enqueued with."""
    slot: u32
    """Its number: that of its bytes."""
    following: u32
    """In a list: the number of the next packet and one; 0 at the end."""
    user: Array[u64] = array(2)
    """The scheduler's own."""
    flow: u32
    """Hash of the five-tuple, the same for all packets of a flow."""
    short_length: u16
    """What `length` is kept in."""
    source_port: be16
    destination_port: be16
    network: u8
    """Where the IP header begins; 0 if there is none."""
    traffic_class: u8
    """By which it is counted: the class selector of its DSCP, if the scheduler does not change it."""
    protocol: u8
    tos: u8
    """DSCP and ECN as they arrived: the octet that was once the type of service (RFC 2474, RFC 3168)."""
    lane: u8
    """Where it arrived: packets of one lane came one after the other, and leave so."""
    flags: u8
    """What `mark` and `generation` are kept in."""

    @property
    def length(self) -> u32:
        """Bytes from the Ethernet header on, without checksum; up to 65535."""
        return u32(self.short_length)

    @length.setter
    def length(self, length: u32) -> None:
        self.short_length = u16(length)

    @property
    def dscp(self) -> u8:
        """From 0 to 63."""
        return self.tos >> 2

    @property
    def ecn(self) -> u8:
        """0 not capable, 1 and 2 capable, 3 congestion experienced."""
        return self.tos & 3

    @property
    def mark(self) -> u8:
        """1: it leaves with congestion experienced; else 0."""
        return self.flags & 1

    @mark.setter
    def mark(self, mark: u8) -> None:
        self.flags = self.flags & 0xFE | mark

    @property
    def generation(self) -> u8:
        """Of the scheduler that it waits in: from 0 to NO_GENERATION."""
        return self.flags >> 1

    @generation.setter
    def generation(self, generation: u8) -> None:
        self.flags = self.flags & 1 | generation << 1


class Ends(Struct):
    """The addresses of a packet; those of IPv4 are mapped into IPv6 (RFC 4291, 2.5.5.2)."""

    source: Address
    destination: Address


class FreeSlots(Struct):
    """The packets that are free again, in a list. Beside it is counted what schedulers drop."""

    used: u32
    """How many were ever taken: they have the lowest numbers. The others are free, and in no list."""
    count: u32
    """How many are in the list."""
    first: u32
    """Number of the first of them, and one."""
    dropped: u64
    dropped_bytes: u64
    of: Array[u32] = array(4)
    """How many wait in each generation of schedulers; the last counts nothing that matters."""
    bytes_of: Array[u64] = array(4)
    """Their bytes."""


class Packets:
    """The packets of one queue. Only the queue's owner of the moment calls what is here."""

    def __init__(self, capacity: int, spare: int = 0) -> None:
        """Make room for so many packets, up to MAX_SLOTS, and for `spare` more that `take` does not give."""
        if not 1 <= capacity <= MAX_SLOTS:
            raise ValueError(f"{capacity} packets: from 1 to {MAX_SLOTS}")
        self.capacity = capacity
        self.slots = capacity + spare
        self.table = ArrayMap(QueuedPacket, self.slots + 1, name="packets")
        self.free = Global(FreeSlots, name="free_slots")
        self.frames: Frames | None = None

    def at(self, number: u32) -> QueuedPacket | None:
        """Return a packet by its number."""
        return self.table.lookup(number)

    def addresses(self, packet: QueuedPacket, ends: Ends) -> bool:
        """Read the addresses of a packet that waits; False if it is not IP."""
        return self.frames.addresses(packet, ends) if self.frames is not None else False

    def take(self) -> QueuedPacket | None:
        """Return a packet that was free, to be filled in; None if all are in use."""
        free = self.free.value
        if free.count == 0 and free.used >= self.capacity:
            return None
        number = free.first - 1 if free.count != 0 else free.used
        packet = self.table.lookup(number)
        if packet is None:
            return None
        if free.count != 0:
            free.first = packet.following
            free.count -= 1
        else:
            free.used += 1
        packet.slot, packet.mark, packet.generation = number, 0, NO_GENERATION
        return packet

    def admit(self, packet: QueuedPacket, generation: u32) -> None:
        """Count a packet as waiting in the scheduler of a generation."""
        packet.generation = u8(generation)
        free = self.free.value
        free.of[generation & NO_GENERATION] += 1
        free.bytes_of[generation & NO_GENERATION] += u64(packet.length)

    def waiting_of(self, generation: u32) -> u32:
        """Return how many wait in the scheduler of a generation."""
        return self.free.value.of[generation & NO_GENERATION]

    def drop(self, packet: QueuedPacket) -> None:
        """Let go of a packet that will not leave, and count it."""
        self.free.value.dropped += 1
        self.free.value.dropped_bytes += u64(packet.length)
        self.give_back(packet)

    def waiting(self) -> u32:
        """Return how many are in use."""
        return self.free.value.used - self.free.value.count

    def give_back(self, packet: QueuedPacket) -> None:
        """Let a packet's number be used for another."""
        free = self.free.value
        free.of[u32(packet.generation) & NO_GENERATION] -= 1
        free.bytes_of[u32(packet.generation) & NO_GENERATION] -= u64(packet.length)
        packet.following, free.first = free.first, packet.slot + 1
        free.count += 1
