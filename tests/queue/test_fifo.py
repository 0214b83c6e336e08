"""Lists of packets against deques."""

from __future__ import annotations

import random
from collections import deque

import pytest

from penstock.kernel import features
from penstock.lang import u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import Packets
from tests.queue.batch import Asked, Batch, Done, Operation

pytestmark = pytest.mark.needs(features.FOR_EACH)

APPEND, POP, PEEK, BACKLOG = range(4)


class Lists(Batch):
    """Lists that share packets; the value of an operation is a packet's length."""

    def __init__(self, fifos: Fifos) -> None:
        packets = fifos.packets

        def perform(operation: Operation) -> None:
            number, length = operation.group, u32(operation.value)
            operation.result, operation.value = 0, 0
            if operation.what == APPEND:
                taken = packets.take()
                if taken is None:
                    return
                taken.length, taken.rank = length, operation.rank
                operation.result = u64(fifos.append(taken, number))
                if operation.result == 0:
                    packets.drop(taken)
            elif operation.what == BACKLOG:
                backlog = fifos.backlog(number)
                if backlog is not None:
                    operation.result, operation.value = u64(backlog.packets), u64(backlog.bytes)
            else:
                packet = fifos.pop(number) if operation.what == POP else fifos.peek(number)
                if packet is None:
                    return
                operation.result, operation.rank, operation.value = 1, packet.rank, u64(packet.length)
                if operation.what == POP:
                    packets.give_back(packet)

        super().__init__(perform)
        self.packets = packets


class Expected:
    """The same with deques."""

    def __init__(self, capacity: int, count: int) -> None:
        self.capacity = capacity
        self.lists = [deque[tuple[int, int]]() for _ in range(count)]
        self.waiting = 0

    def perform(self, what: int, number: int, rank: int, value: int) -> Done:
        if number >= len(self.lists):
            return 0, rank, 0
        waiting = self.lists[number]
        if what == APPEND:
            if self.waiting == self.capacity:
                return 0, rank, 0
            self.waiting += 1
            waiting.append((rank, value))
            return 1, rank, 0
        if what == BACKLOG:
            return len(waiting), rank, sum(length for _, length in waiting)
        if not waiting:
            return 0, rank, 0
        self.waiting -= what == POP
        return 1, *(waiting.popleft() if what == POP else waiting[0])


@pytest.mark.parametrize(("capacity", "count"), [(1, 1), (64, 1), (100, 3), (1000, 1024), (5000, 100)])
def test_as_deques(capacity, count):
    lists, expected = Lists(Fifos(Packets(capacity), count)), Expected(capacity, count)
    chance = random.Random(capacity)
    with lists.loaded:
        for appends in [2, 9, 1, 0] * 3:
            asked: list[Asked] = []
            for rank in range(8000):
                what = chance.choice([*appends * [APPEND], POP, POP, PEEK, BACKLOG])
                number = chance.choice([0, chance.randrange(count), chance.randrange(count + 1)])
                asked.append((what, number, rank, chance.randrange(14, 1515)))
            assert lists.perform(asked) == [expected.perform(*each) for each in asked]
        free = lists.loaded[lists.packets.free].value
        assert free.used - free.count == expected.waiting
