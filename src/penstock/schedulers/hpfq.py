"""Hierarchical fair queueing: a PIFO of PIFOs.

Sivaraman et al., Programmable Packet Scheduling at Line Rate (SIGCOMM 2016), sections 2.2 and 3.1. Each node of
a tree is a PIFO, ranked by start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). A packet is pushed into
a leaf, and for each packet that a node holds, its parent holds the node once.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, u16, u32, u64
from penstock.queue.packets import QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.queue.selectors import Selectors
from penstock.queue.units import count

SCALE: Final = 8
"""Virtual times are in bytes of weight 1, shifted by so many bits."""

NONE: Final = 0xFFFF_FFFF


class Level:
    """The nodes of one level of the tree, each fair to its children."""

    def __init__(self, capacity: int, nodes: int, children: int, name: str) -> None:
        self.children = children
        self.held = Pifo(capacity, window=64, groups=nodes, name=name)
        self.times = ArrayMap(u64, nodes, name=f"{name}_time")
        self.ends = ArrayMap(u64, nodes * children, name=f"{name}_ends")

    def push(self, node: u32, child: u32, value: u32, cost: u64) -> bool:
        """Hold a value for one of a node's children, which takes so much virtual time."""
        time = self.times.lookup(node)
        end = self.ends.lookup(node * self.children + child)
        if time is None or end is None:
            return False
        start = max(time.value, end.value)
        end.value = start + cost
        return self.held.push(start, u64(value), node)

    def pop(self, node: u32) -> u32:
        """Take out what a node holds first; NONE if nothing, or if there is no such node."""
        item = self.held.pop(node)
        time = self.times.lookup(node)
        if item is None or time is None:
            return NONE
        time.value = item.rank
        return u32(item.value)


class Hpfq(Scheduler):
    """Shares the link among class selectors of DSCP by weight, and each one's share among its flows."""

    cs0 = Tunable(count, "1", "weight of DSCP 0 to 7")
    cs1 = Tunable(count, "1", "weight of DSCP 8 to 15")
    cs2 = Tunable(count, "1", "weight of DSCP 16 to 23")
    cs3 = Tunable(count, "1", "weight of DSCP 24 to 31")
    cs4 = Tunable(count, "1", "weight of DSCP 32 to 39")
    cs5 = Tunable(count, "1", "weight of DSCP 40 to 47")
    cs6 = Tunable(count, "1", "weight of DSCP 48 to 55")
    cs7 = Tunable(count, "1", "weight of DSCP 56 to 63")
    flows = Parameter(count, "1024", "numbers that the flows of a class are hashed to")

    def setup(self) -> None:
        capacity = self.packets.capacity
        self.weights = Selectors([self.values[f"cs{n}"] for n in range(8)])
        self.root = Level(capacity, 1, 8, "root")
        self.leaves = Level(capacity, 8, self.flows, "leaves")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = u32(packet.dscp >> 3)
        return self.hold_class(packet, number) and self.hold_packet(packet, number)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.packets.at(self.leaves.pop(self.root.pop(0)))

    def hold_class(self, packet: QueuedPacket, number: u32) -> bool:
        """Let the root hold a packet's class once more."""
        packet.traffic_class = u16(number)
        return self.root.push(0, number, number, cost(packet) // self.weights.at(number))

    def hold_packet(self, packet: QueuedPacket, leaf: u32) -> bool:
        """Let a leaf hold a packet, by its flow."""
        return self.leaves.push(leaf, packet.flow % self.flows, packet.slot, cost(packet))


class Hpfq3(Hpfq):
    """Shares the link among class selectors of DSCP by weight, then among codepoints, then among flows."""

    def setup(self) -> None:
        super().setup()
        self.codepoints = Level(self.packets.capacity, 8, 8, "codepoints")
        self.leaves = Level(self.packets.capacity, 64, self.flows, "leaves")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number, codepoint = u32(packet.dscp >> 3), u32(packet.dscp)
        return (
            self.hold_class(packet, number)
            and self.codepoints.push(number, codepoint & 7, codepoint, cost(packet))
            and self.hold_packet(packet, codepoint)
        )

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.packets.at(self.leaves.pop(self.codepoints.pop(self.root.pop(0))))


def cost(packet: QueuedPacket) -> u64:
    """Return what a packet costs at weight 1."""
    return u64(packet.length) << SCALE
