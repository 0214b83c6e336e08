"""A tree of PIFOs, each start-time fair queueing, as in PIFO (SIGCOMM 2016), figures 1 and 3."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel


class Node:
    def __init__(self) -> None:
        self.virtual_time = Fraction(0)
        self.last_finish = defaultdict[int, Fraction](Fraction)
        self.children = defaultdict[int, Node](Node)
        self.pifo: list[tuple[Fraction, int, Node | Packet]] = []
        self.order = count()

    def push(self, child: int, what: Node | Packet, length: int, weight: int) -> None:
        start = max(self.virtual_time, self.last_finish[child])
        self.last_finish[child] = start + Fraction(length, weight)
        heappush(self.pifo, (start, next(self.order), what))

    def pop(self) -> Node | Packet:
        self.virtual_time, _, what = heappop(self.pifo)
        return what


class HpfqModel(TimedModel):
    def __init__(self, weights: list[int], flows: int, levels: int, capacity: int) -> None:
        super().__init__()
        self.capacity, self.waiting = capacity, list[Packet]()
        self.weights, self.flows, self.levels = weights, flows, levels
        self.root = Node()

    def enqueue(self, packet: Packet) -> bool:
        flow = [each for each in self.waiting if self.flow(each) == self.flow(packet)]
        if len(flow) >= self.capacity - len(self.waiting):
            return False
        self.waiting.append(packet)
        node, weight = self.root, self.weights[packet.dscp // 8]
        for child in (packet.dscp // 8, packet.dscp)[: self.levels - 1]:
            node.push(child, node.children[child], packet.length, weight)
            node, weight = node.children[child], 1
        node.push(packet.flow % self.flows, packet, packet.length, 1)
        return True

    def dequeue(self, _now: int) -> Packet | None:
        what: Node | Packet | None = self.root if self.root.pifo else None
        while isinstance(what, Node):
            what = what.pop()
        if what is not None:
            self.waiting.remove(what)
        return what

    def flow(self, packet: Packet) -> tuple[int, int]:
        """Its leaf, and its number there."""
        return packet.dscp if self.levels == 3 else packet.dscp // 8, packet.flow % self.flows
