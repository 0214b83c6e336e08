"""What a PIFO has to do, said with a sorted list, and a real one that does it."""

from __future__ import annotations

import bisect

import numpy as np

from penstock.lang import u64
from penstock.queue.pifo import Pifo
from tests.queue.batch import Batch, Done, Operation

PUSH, POP, PEEK, LENGTH = range(4)


class Model:
    """One PIFO as a sorted list."""

    def __init__(self, capacity: int, granularity: int = 1) -> None:
        self.capacity, self.granularity = capacity, granularity
        self.items: list[tuple[int, int, int, int]] = []
        self.pushes = 0

    def perform(self, what: int, rank: int = 0, value: int = 0) -> Done:
        """Return 1 and the rank and value of an item, three zeros for nothing, or a length and zeros."""
        if what == LENGTH:
            return len(self.items), 0, 0
        if what == PUSH:
            if len(self.items) == self.capacity:
                return 0, 0, 0
            self.pushes += 1
            bisect.insort(self.items, (rank // self.granularity, self.pushes, rank, value))
            return 1, 0, 0
        if not self.items:
            return 0, 0, 0
        _, _, rank, value = self.items.pop(0) if what == POP else self.items[0]
        return 1, rank, value


class Kernel(Batch):
    """A PIFO in the kernel."""

    def __init__(self, pifo: Pifo) -> None:
        def perform(operation: Operation) -> None:
            rank, value = operation.rank, operation.value
            operation.rank, operation.value = 0, 0
            if operation.what == PUSH:
                operation.result = u64(pifo.push(rank, value, operation.group))
                return
            if operation.what == LENGTH:
                operation.result = u64(pifo.length(operation.group))
                return
            item = pifo.pop(operation.group) if operation.what == POP else pifo.peek(operation.group)
            if item is None:
                operation.result = 0
                return
            operation.result, operation.rank, operation.value = 1, item.rank, item.value

        super().__init__(perform)
        self.pifo = pifo
        self.states = self.loaded[pifo.states].memory
        self.nodes = self.loaded[pifo.nodes].memory

    def empty(self, pushes: int = 0) -> None:
        """Begin anew, with the number of pushes where it is after a long time."""
        self.states[:] = np.zeros((), self.states.dtype)
        self.states["pushes"] = pushes
