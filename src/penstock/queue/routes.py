"""What the kernel's routing and neighbour tables said, kept for a few ms: to ask costs more than a queue."""

from __future__ import annotations

from typing import Final

from penstock.lang import Array, PerCpuArray, Struct, Xdp, array, be32, helpers, sizeof, u8, u16, u32, u64
from penstock.lang.helpers import FIB_SUCCESS, FibLookup

_ENTRIES: Final = 256
_LIFE: Final = 2
"""Ticks of the kernel's: a change of routes counts after 20 ms at most, at 100 Hz, which is the slowest."""

_GOLDEN: Final = 0x9E37_79B9_7F4A_7C15


class Answer(Struct):
    """One question, and what the kernel said."""

    asked: u64
    """When, in ticks; 0: never."""
    came: u32
    flow_info: be32
    source: Array[be32] = array(4)
    destination: Array[be32] = array(4)
    protocol: u8
    family: u8
    longest: u16
    """For packets up to so many bytes."""
    leaves: u32
    source_mac: Array[u8] = array(6)
    destination_mac: Array[u8] = array(6)


class Routes:
    """The kernel's routes; Linux 5.6. Each CPU remembers for itself."""

    def __init__(self) -> None:
        self.answers = PerCpuArray(Answer, _ENTRIES, name="routes")

    def find(self, packet: Xdp, route: FibLookup) -> bool:
        """Whether the kernel knows the way and the neighbour; then `route` says them."""
        now = helpers.jiffies64()
        answer = self.answers.lookup(_place(route))
        if answer is None:
            return helpers.fib_lookup(packet, route, sizeof(FibLookup), 0) == FIB_SUCCESS
        if now - answer.asked < _LIFE and route.length <= answer.longest and _is_same(answer, route):
            route.ifindex = answer.leaves
            route.source_mac, route.destination_mac = answer.source_mac, answer.destination_mac
            return True
        answer.asked, answer.came, answer.flow_info = 0, route.ifindex, route.flow_info
        answer.family, answer.protocol = route.family, route.protocol
        answer.source, answer.destination = route.source, route.destination
        if helpers.fib_lookup(packet, route, sizeof(FibLookup), 0) != FIB_SUCCESS:
            return False
        # Before Linux 5.13 this is the packet's own length, not the MTU.
        answer.longest = route.length
        answer.asked, answer.leaves = now, route.ifindex
        answer.source_mac, answer.destination_mac = route.source_mac, route.destination_mac
        return True


def _place(route: FibLookup) -> u32:
    ends = u64(u32(route.source[0])) << 32 ^ u64(u32(route.destination[0]))
    low = u64(u32(route.source[3])) << 32 ^ u64(u32(route.destination[3]))
    return u32(((ends ^ low * _GOLDEN) * _GOLDEN) >> 56)


def _is_same(answer: Answer, route: FibLookup) -> bool:
    if answer.family != route.family or answer.protocol != route.protocol or answer.came != route.ifindex:
        return False
    if answer.flow_info != route.flow_info:
        return False
    for part in range(4):
        if answer.source[part] != route.source[part] or answer.destination[part] != route.destination[part]:
            return False
    return True
