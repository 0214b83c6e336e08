"""The bytes of packets that wait: XDP cannot hold a frame, so it is copied, and later into another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from penstock.lang import Array, ArrayMap, Struct, Tc, Xdp, array, be64, helpers, i32, u8, u32, u64
from penstock.net.ip import MAPPED
from penstock.queue.packets import Ends, Packets, QueuedPacket

_HEADERS: Final = 63
"""How far into a frame the IP header may begin, behind tags: far less."""


if TYPE_CHECKING:

    class Slot(Struct):
        """A frame from its Ethernet header on."""

        octets: Array[u8]


def _slot(size: int) -> type[Slot]:
    class Sized(Struct):
        octets: Array[u8] = array(size)

    return cast("type[Slot]", Sized)


class Frames:
    """A slot of `size` bytes for each number of `packets`."""

    def __init__(self, packets: Packets, size: int) -> None:
        self.size = size
        self.table = ArrayMap(_slot(size), packets.slots, name="frames")
        packets.frames = self

    def keep(self, packet: Xdp, number: u32, length: u32) -> bool:
        """Copy a frame into a slot; False if it does not fit."""
        slot, size = self.table.lookup(number), _size(length)
        if slot is None or size > self.size:
            return False
        return helpers.xdp_load_bytes(packet, 0, slot, size) == 0

    def copy(self, number: u32, to: u32) -> None:
        """Give a slot the bytes of another."""
        slot, other = self.table.lookup(number), self.table.lookup(to)
        if slot is not None and other is not None:
            other.octets = slot.octets

    def addresses(self, packet: QueuedPacket, ends: Ends) -> bool:
        """Read the addresses of a packet that waits; False if it is not IP."""
        if packet.network == 0:
            return False
        at = u32(packet.network & _HEADERS)
        if self._word(packet.slot, at) >> 60 == 6:
            ends.source.high = be64(self._word(packet.slot, at + 8))
            ends.source.low = be64(self._word(packet.slot, at + 16))
            ends.destination.high = be64(self._word(packet.slot, at + 24))
            ends.destination.low = be64(self._word(packet.slot, at + 32))
            return True
        both = self._word(packet.slot, at + 12)
        ends.source.high, ends.destination.high = be64(0), be64(0)
        ends.source.low, ends.destination.low = be64(MAPPED | both >> 32), be64(MAPPED | both & 0xFFFF_FFFF)
        return True

    def _word(self, number: u32, at: u32) -> u64:
        """Eight octets of a frame."""
        slot = self.table.lookup(number)
        word: u64 = 0
        if slot is not None:
            for octet in range(8):
                word = word << 8 | u64(slot.octets[at + u32(octet)])
        return word

    def mark(self, number: u32, network: u32) -> None:
        """Say in a frame's IP header, at `network`, that it met congestion (RFC 3168)."""
        slot = self.table.lookup(number)
        if slot is None:
            return
        at = network & _HEADERS
        if slot.octets[at] >> 4 == 6:
            slot.octets[at + 1] |= 0x30
            return
        before = slot.octets[at + 1]
        slot.octets[at + 1] = before | 3
        # RFC 1624: the checksum, in ones' complement, is less by as much as the word is more.
        checksum = u32(slot.octets[at + 10]) << 8 | u32(slot.octets[at + 11])
        checksum += 0xFFFF - u32((before | 3) - before)
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
        slot.octets[at + 10], slot.octets[at + 11] = u8(checksum >> 8), u8(checksum)

    def put(self, packet: Xdp, number: u32, length: u32, instead_of: u32) -> bool:
        """Overwrite a frame of `instead_of` bytes with a slot's; False if there is no room behind it."""
        slot, size = self.table.lookup(number), _size(length)
        if slot is None or size > self.size:
            return False
        if length != instead_of and helpers.xdp_adjust_tail(packet, i32(length) - i32(instead_of)) != 0:
            return False
        return helpers.xdp_store_bytes(packet, 0, slot, size) == 0

    def send(self, packet: Tc, number: u32, length: u32, ifindex: u32) -> bool:
        """Make a packet of a slot and send it; False if there is no memory for it, or no such interface."""
        slot, size = self.table.lookup(number), _size(length)
        if slot is None or size > self.size:
            return False
        if helpers.skb_change_tail(packet, length) != 0:
            return False
        if helpers.skb_store_bytes(packet, 0, slot, size) != 0:
            return False
        return helpers.clone_redirect(packet, ifindex) == 0


def _size(length: u32) -> u32:
    """A frame's length, in which also the verifier sees that it is not 0, and goes on to see it.

    Before Linux 6.4 it forgets that of a number that was compared, and then copied by a 32-bit move.
    """
    return ((length - 1) & 0xFFFF) + 1
