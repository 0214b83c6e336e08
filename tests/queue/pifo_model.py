"""What a PIFO has to do, said with a sorted list, and a program that has a real one do it."""

from __future__ import annotations

import bisect

import numpy as np

import penstock
from penstock.lang import ArrayMap, Global, Program, Struct, Tc, tc, u32, u64
from penstock.queue.pifo import Pifo

PUSH, POP, PEEK, LENGTH = range(4)
MOST = 4096
"""Operations in one run."""

Done = tuple[int, int, int]
"""1 and the rank and value of an item, three zeros for nothing; or a length."""


class Operation(Struct):
    what: u32
    group: u32
    rank: u64
    value: u64
    result: u64
    """A truth value, or a length; `rank` and `value` are an item's afterwards."""


class Index(Struct):
    count: u64


class Model:
    """One PIFO as a sorted list."""

    def __init__(self, capacity: int, granularity: int) -> None:
        self.capacity, self.granularity = capacity, granularity
        self.items: list[tuple[int, int, int, int]] = []
        self.pushes = 0

    def perform(self, what: int, rank: int = 0, value: int = 0) -> Done:
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


def performing(pifo: Pifo, operations: ArrayMap[Operation], count: Global[u32]) -> Program:
    def perform(index: u32, operation: Operation, nothing: Index) -> int:
        if index >= count.value:
            return 1
        rank, value = operation.rank, operation.value
        operation.rank, operation.value = 0, 0
        if operation.what == PUSH:
            operation.result = u64(pifo.push(rank, value, operation.group))
            return 0
        if operation.what == LENGTH:
            operation.result = u64(pifo.length(operation.group))
            return 0
        item = pifo.pop(operation.group) if operation.what == POP else pifo.peek(operation.group)
        if item is None:
            operation.result = 0
            return 0
        operation.result, operation.rank, operation.value = 1, item.rank, item.value
        return 0

    @tc
    def program(packet: Tc) -> int:
        nothing = Index()
        operations.for_each(perform, nothing)
        return 0

    return program


class Kernel:
    """A PIFO in the kernel."""

    def __init__(self, pifo: Pifo) -> None:
        operations = ArrayMap(Operation, MOST, name="operations")
        count = Global(u32, name="count")
        program = performing(pifo, operations, count)
        self.pifo = pifo
        self.loaded = penstock.load(program)
        self.program = self.loaded[program]
        self.operations = self.loaded[operations].memory
        self.count = self.loaded[count]
        self.states = self.loaded[pifo.states].memory

    def empty(self, first: int = 0, pushes: int = 0) -> None:
        """Begin anew, with the window and the number of pushes where they are after a long time."""
        self.states[:] = np.zeros((), self.states.dtype)
        self.states["first"], self.states["pushes"] = first, pushes

    def perform(self, operations: list[tuple[int, int, int, int]]) -> list[Done]:
        """Do what is asked: what, group, rank, value."""
        done: list[Done] = []
        for start in range(0, len(operations), MOST):
            part = operations[start : start + MOST]
            rows = self.operations[: len(part)]
            for name, column in zip(["what", "group", "rank", "value"], zip(*part, strict=True), strict=True):
                rows[name] = column
            rows["result"] = 2
            self.count.value = len(part)
            self.program.test_run(bytes(64))
            done += zip(*(rows[name].tolist() for name in ["result", "rank", "value"]), strict=True)
        return done
