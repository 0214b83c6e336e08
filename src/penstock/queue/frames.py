"""The bytes of packets that wait: XDP cannot hold a frame, so it is copied, and later into another one."""

from __future__ import annotations

from penstock.lang import Array, ArrayMap, Struct, Tc, Xdp, array, helpers, i32, u8, u32
from penstock.queue.packets import Packets

SHORTEST = 14
"""Bytes of an Ethernet header. No frame is shorter, but the verifier has to see that none is empty."""


def _slot(size: int) -> type[Struct]:
    class Slot(Struct):
        octets: Array[u8] = array(size)

    return Slot


class Frames:
    """A slot of `size` bytes for each number of `packets`."""

    def __init__(self, packets: Packets, size: int) -> None:
        self.size = size
        self.table = ArrayMap(_slot(size), packets.slots, name="frames")

    def keep(self, packet: Xdp, number: u32, length: u32) -> bool:
        """Copy a frame into a slot; False if it does not fit."""
        slot = self.table.lookup(number)
        if slot is None or length > self.size:
            return False
        return helpers.xdp_load_bytes(packet, 0, slot, max(length, SHORTEST)) == 0

    def put(self, packet: Xdp, number: u32, length: u32, instead_of: u32) -> bool:
        """Overwrite a frame of `instead_of` bytes with a slot's; False if there is no room behind it."""
        slot = self.table.lookup(number)
        if slot is None or length > self.size:
            return False
        if helpers.xdp_adjust_tail(packet, i32(length) - i32(instead_of)) != 0:
            return False
        return helpers.xdp_store_bytes(packet, 0, slot, max(length, SHORTEST)) == 0

    def send(self, packet: Tc, number: u32, length: u32, ifindex: u32) -> bool:
        """Make a packet of a slot and send it; False if there is no memory for it, or no such interface."""
        slot = self.table.lookup(number)
        if slot is None or length > self.size:
            return False
        if helpers.skb_change_tail(packet, length) != 0:
            return False
        if helpers.skb_store_bytes(packet, 0, slot, max(length, SHORTEST)) != 0:
            return False
        return helpers.clone_redirect(packet, ifindex) == 0
