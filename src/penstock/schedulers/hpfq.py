"""Hierarchical fair queueing: a PIFO of PIFOs.

Sivaraman et al., Programmable Packet Scheduling at Line Rate (SIGCOMM 2016), sections 2.2 and 3.1. Each node
of a tree is a PIFO, ranked by start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). A packet is
pushed into a leaf, and for each packet that a node holds, its parent holds the node once.
So that no flow takes the room of others, one that has as many packets waiting as there is room left may add
none: Choudhury and Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches (IEEE/ACM
Transactions on Networking 6(2), 1998).
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Struct, u32, u64
from penstock.queue.packets import QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.queue.selectors import NAMES, Selectors
from penstock.schedulers.stfq import weight
from penstock.units import count

SCALE: Final = 8
"""Virtual times are in bytes of weight 1, shifted by so many bits."""

NONE: Final = 0xFFFF_FFFF


class Child(Struct):
    """What a node knows of a child: its finish tag, and how often the node holds it."""

    finish: u64
    held: u64


class Level:
    """The nodes of one level of the tree, each fair to its children."""

    def __init__(self, capacity: int, nodes: int, children: int, name: str) -> None:
        self.count = children
        self.held = Pifo(capacity, window=64, groups=nodes, name=name)
        self.times = ArrayMap(u64, nodes, name=f"{name}_time")
        self.children = ArrayMap(Child, nodes * children, name=f"{name}_children")

    def child(self, node: u32, number: u32) -> Child | None:
        """Return what a node knows of a child."""
        return self.children.lookup(node * self.count + number)

    def push(self, node: u32, number: u32, value: u32, cost: u64) -> bool:
        """Hold a value for a child, which takes so much virtual time."""
        time = self.times.lookup(node)
        child = self.child(node, number)
        if time is None or child is None:
            return False
        start = max(time.value, child.finish)
        child.finish = start + cost
        child.held += 1
        return self.held.push(start, u64(number) << 32 | u64(value), node)

    def pop(self, node: u32) -> u32:
        """Take out what a node holds first; NONE if nothing, or if there is no such node."""
        item = self.held.pop(node)
        time = self.times.lookup(node)
        if item is None or time is None:
            return NONE
        time.value = item.rank
        child = self.child(node, u32(item.value >> 32))
        if child is not None:
            child.held -= 1
        return u32(item.value)


class Hpfq(Scheduler):
    """Shares the link among class selectors of DSCP by weight, and each one's share among its flows.

    Weights are from 1 to 1000. What arrives is dropped if its flow has as many packets waiting as there is
    room left.
    """

    class_names = NAMES

    cs0 = Tunable(weight, "1", "weight of DSCP 0 to 7")
    cs1 = Tunable(weight, "1", "weight of DSCP 8 to 15")
    cs2 = Tunable(weight, "1", "weight of DSCP 16 to 23")
    cs3 = Tunable(weight, "1", "weight of DSCP 24 to 31")
    cs4 = Tunable(weight, "1", "weight of DSCP 32 to 39")
    cs5 = Tunable(weight, "1", "weight of DSCP 40 to 47")
    cs6 = Tunable(weight, "1", "weight of DSCP 48 to 55")
    cs7 = Tunable(weight, "1", "weight of DSCP 56 to 63")
    flows = Parameter(count, "1024", "numbers that the flows of a class are hashed to")

    def setup(self) -> None:
        capacity = self.packets.capacity
        self.weights = Selectors([self.values[f"cs{n}"] for n in range(8)])
        self.root = Level(capacity, 1, 8, "root")
        self.leaves = Level(capacity, 8, self.flows, "leaves")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = u32(packet.dscp >> 3)
        return self.has_room(packet, number) and self.hold_class(packet, number) and self.hold(packet, number)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.packets.at(self.leaves.pop(self.root.pop(0)))

    def has_room(self, packet: QueuedPacket, leaf: u32) -> bool:
        """Whether a packet's flow has no more packets waiting than there is room left."""
        flow = self.leaves.child(leaf, packet.flow % self.flows)
        return flow is not None and flow.held <= self.packets.capacity - u64(self.packets.waiting())

    def hold_class(self, packet: QueuedPacket, number: u32) -> bool:
        """Let the root hold a packet's class once more."""
        return self.root.push(0, number, number, cost(packet) // self.weights.at(number))

    def hold(self, packet: QueuedPacket, leaf: u32) -> bool:
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
            self.has_room(packet, codepoint)
            and self.hold_class(packet, number)
            and self.codepoints.push(number, codepoint & 7, codepoint, cost(packet))
            and self.hold(packet, codepoint)
        )

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.packets.at(self.leaves.pop(self.codepoints.pop(self.root.pop(0))))


def cost(packet: QueuedPacket) -> u64:
    """Return what a packet costs at weight 1."""
    return u64(packet.length) << SCALE
