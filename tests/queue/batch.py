"""Programs that do thousands of things in one run, as Python asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import penstock
from penstock.lang import ArrayMap, Global, Struct, Tc, tc, u32, u64

MOST: int = 4096
"""Operations in one run."""


class Operation(Struct):
    """What to do, and what came of it."""

    what: u32
    group: u32
    rank: u64
    value: u64
    result: u64


class Nothing(Struct):
    unused: u64


Asked = tuple[int, int, int, int]
"""What, group, rank, value."""
Done = tuple[int, int, int]
"""Result, rank, value."""


class Batch:
    """A loaded program that calls `perform` on each operation that it is given."""

    def __init__(self, perform: Callable[[Operation], None]) -> None:
        operations = ArrayMap(Operation, MOST, name="operations")
        count = Global(u32, name="count")

        def each(index: u32, operation: Operation, nothing: Nothing) -> int:
            if index >= count.value:
                return 1
            perform(operation)
            return 0

        @tc
        def program(packet: Tc) -> int:
            nothing = Nothing()
            operations.for_each(each, nothing)
            return 0

        self.loaded = penstock.load(program)
        self.program = self.loaded[program]
        self._operations = self.loaded[operations].memory
        self._count = self.loaded[count]

    def perform(self, asked: Sequence[Asked]) -> list[Done]:
        """Have it done in as few runs as it takes."""
        done: list[Done] = []
        for start in range(0, len(asked), MOST):
            part = asked[start : start + MOST]
            rows = self._operations[: len(part)]
            for name, column in zip(["what", "group", "rank", "value"], zip(*part, strict=True), strict=True):
                rows[name] = column
            rows["result"] = 2
            self._count.value = len(part)
            self.program.test_run(bytes(64))
            done += zip(*(rows[name].tolist() for name in ["result", "rank", "value"]), strict=True)
        return done
