"""PIFOs of packets, and clocks, against a sorted list."""

from __future__ import annotations

import random

import pytest

from penstock.kernel import features
from penstock.lang import u64
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import Packets
from tests.queue import pifo_model
from tests.queue.batch import Asked, Batch, Done, Operation
from tests.queue.pifo_model import Model

pytestmark = pytest.mark.needs(features.FOR_EACH)

PUSH, POP, PEEK, POP_DUE, NEXT_DUE = range(5)
NEVER = 2**64 - 1
GROUPS = 3


class Clocks(Batch):
    """Some PIFOs that share packets."""

    def __init__(self, pifo: PacketPifo) -> None:
        packets = pifo.packets

        def perform(operation: Operation) -> None:
            group, rank = operation.group, operation.rank
            operation.result = 0
            if operation.what == PUSH:
                taken = packets.take()
                if taken is None:
                    return
                taken.user[0] = operation.value
                operation.result = u64(pifo.push(taken, rank, group))
                if operation.result == 0:
                    packets.drop(taken)
                return
            if operation.what == NEXT_DUE:
                operation.rank = pifo.next_due(group)
                return
            if operation.what == POP_DUE:
                packet = pifo.pop_due(rank, group)
            elif operation.what == POP:
                packet = pifo.pop(group)
            else:
                packet = pifo.peek(group)
            if packet is None:
                return
            operation.result, operation.rank, operation.value = 1, packet.rank, packet.user[0]
            if operation.what != PEEK:
                packets.give_back(packet)

        super().__init__(perform)
        self.packets = packets

    def dropped(self) -> int:
        return self.loaded[self.packets.free].value.dropped

    def in_use(self) -> int:
        free = self.loaded[self.packets.free].value
        return free.used - free.count


class Expected:
    """The same with sorted lists."""

    def __init__(self, pifo: PacketPifo) -> None:
        self.capacity = pifo.packets.capacity
        self.groups = [Model(self.capacity, 1 << pifo.shift) for _ in range(GROUPS)]
        self.dropped = 0

    def waiting(self) -> int:
        return sum(len(group.items) for group in self.groups)

    def perform(self, what: int, group: int, rank: int, value: int) -> Done:
        if what == PUSH and group >= GROUPS and self.waiting() < self.capacity:
            self.dropped += 1
        if (what == PUSH and self.waiting() == self.capacity) or group >= GROUPS:
            return 0, NEVER if what == NEXT_DUE else rank, value
        model = self.groups[group]
        if what == PUSH:
            return model.perform(pifo_model.PUSH, rank, value)[0], rank, value
        found, first, mark = model.perform(pifo_model.PEEK)
        if what == NEXT_DUE:
            return 0, first if found else NEVER, value
        if not found or (what == POP_DUE and first > rank):
            return 0, rank, value
        if what != PEEK:
            model.perform(pifo_model.POP)
        return 1, first, mark


@pytest.mark.parametrize("granularity", [1, 1024])
@pytest.mark.parametrize("capacity", [1, 100, 1000])
def test_as_a_sorted_list(capacity, granularity):
    """Times go on, packets are pushed for later or for earlier, and leave when they are due."""
    pifo = PacketPifo(Packets(capacity), window=256, granularity=granularity, groups=GROUPS)
    clocks, expected = Clocks(pifo), Expected(pifo)
    chance = random.Random(capacity)
    with clocks.loaded:
        now = 2**60
        for pushes in [2, 6, 1, 0] * 4:
            asked: list[Asked] = []
            for value in range(2000):
                now += chance.randrange(0, 2 * granularity)
                what = chance.choice([*pushes * [PUSH], POP, PEEK, POP_DUE, POP_DUE, NEXT_DUE])
                group = GROUPS if chance.random() < 0.02 else chance.randrange(GROUPS)
                later = chance.choice([0, chance.randrange(300), chance.randrange(-99, 5000)]) * granularity
                asked.append((what, group, now + (later if what == PUSH else 0), value))
            assert clocks.perform(asked) == [expected.perform(*each) for each in asked]
            assert clocks.in_use() == expected.waiting()
        assert clocks.dropped() == expected.dropped


def test_what_is_due():
    clocks = Clocks(PacketPifo(Packets(4)))
    with clocks.loaded:
        done = clocks.perform(
            [
                (NEXT_DUE, 0, 0, 0),
                (PUSH, 0, 500, 7),
                (PUSH, 0, 400, 8),
                (POP_DUE, 0, 399, 0),
                (NEXT_DUE, 0, 0, 0),
                (POP_DUE, 0, 400, 0),
                (POP_DUE, 0, 499, 0),
                (POP_DUE, 0, NEVER, 0),
                (POP_DUE, 0, NEVER, 0),
            ]
        )
    assert [result for result, _, _ in done] == [0, 1, 1, 0, 0, 1, 0, 1, 0]
    assert [rank for _, rank, _ in done] == [NEVER, 500, 400, 399, 400, 400, 499, 500, NEVER]
    assert [done[5][2], done[7][2]] == [8, 7]
