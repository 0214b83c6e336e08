"""Schedulers under a virtual clock: many packets arrive and leave in one run of a program.

    with Rig(StrictPriority, capacity=8, bands="4") as rig:
        results = rig.run([Arrive(now=0, dscp=46), Leave(now=5)])

A queue that is full asks the scheduler to make room, as the queues of interfaces do.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple, Self

import numpy as np
import pytest

import penstock
from penstock.kernel.array import Shared
from penstock.kernel.features import LOOP_CALLS
from penstock.kernel.hash import Hash
from penstock.lang import (
    Array,
    ArrayMap,
    Global,
    Program,
    Struct,
    Tc,
    array,
    be16,
    global_subprogram,
    helpers,
    tc,
    u8,
    u16,
    u32,
    u64,
)
from penstock.queue.packets import Packets, QueuedPacket
from penstock.queue.scheduler import Scheduler
from tests.queue.free_slots import free_slots

NEEDED = pytest.mark.needs(LOOP_CALLS)

MOST = 4096
"""Operations in one run of the program; longer sequences take several."""

ARRIVE, LEAVE, NEXT_DUE = range(3)


class Operation(Struct):
    now: u64
    user: Array[u64] = array(2)
    kind: u32
    flow: u32
    length: u32
    source_port: u16
    destination_port: u16
    protocol: u8
    dscp: u8
    ecn: u8


class Outcome(Struct):
    number: u64
    """The serial number of the packet that left, and one, or 0; for NEXT_DUE the time."""
    rank: u64
    dropped: u64
    """Packets dropped up to now."""
    length: u32
    mark: u32


class Nothing(Struct):
    """The state of a loop without one."""

    unused: u64


class Arrive(NamedTuple):
    """A packet comes."""

    now: int
    flow: int = 0
    length: int = 100
    dscp: int = 0
    ecn: int = 0
    user: tuple[int, int] = (0, 0)
    protocol: int = 17
    source_port: int = 0
    destination_port: int = 0


class Leave(NamedTuple):
    """A packet is asked for."""

    now: int


class NextDue(NamedTuple):
    """It is asked when the next one may leave."""

    now: int


Step = Arrive | Leave | NextDue


class Result(NamedTuple):
    """What an operation did."""

    serial: int | None
    """Which packet left, by the number of its operation since the last reset."""
    dropped: int
    """How many packets were dropped since the last reset."""
    rank: int = 0
    length: int = 0
    mark: int = 0
    due: int = 0
    """For `NextDue`: the time."""


class Rig:
    """A scheduler in the kernel, and a queue without an interface around it."""

    def __init__(self, scheduler: type[Scheduler], capacity: int, **options: str | int) -> None:
        self.packets = Packets(capacity)
        self.scheduler = scheduler(self.packets, **options)
        self.operations = ArrayMap(Operation, MOST, name="operations")
        self.outcomes = ArrayMap(Outcome, MOST, name="outcomes")
        self.serials = ArrayMap(u32, self.packets.slots, name="serials")
        self.count = Global(u32, name="count")
        self.first = Global(u32, name="first")
        self.program = _performing(self)
        self._owned = ExitStack()
        self.loaded = self._owned.enter_context(penstock.load(self.program))
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._owned.close()

    def reset(self, **tunables: int) -> None:
        """Make all maps as they were when loaded, and set the tunables, these ones to other values."""
        for loaded in self.loaded._maps.values():
            if isinstance(loaded, Shared):
                loaded.memory[:] = np.zeros((), loaded.memory.dtype)
            elif isinstance(loaded, Hash):
                loaded.clear()
        for tunable, value in self.scheduler.initial.items():
            self.loaded[tunable].value = value
        for name, value in tunables.items():
            self.set(name, value)
        self.done = self.arrived = self.left = 0

    def set(self, name: str, value: int) -> None:
        """Change a tunable while packets wait."""
        self.loaded[self.scheduler.values[name]].value = value

    def run(self, operations: list[Step]) -> list[Result]:
        """Perform operations after those before, and count the slots; one result for each."""
        results: list[Result] = []
        for start in range(0, len(operations), MOST):
            results += self._run(operations[start : start + MOST])
        self._count_slots(results[-1].dropped if results else 0)
        return results

    def _run(self, operations: list[Step]) -> list[Result]:
        given, outcomes = self.loaded[self.operations].memory, self.loaded[self.outcomes].memory
        given[: len(operations)] = np.array([_packed(operation) for operation in operations], given.dtype)
        self.loaded[self.count].value, self.loaded[self.first].value = len(operations), self.done
        assert self.loaded[self.program].test_run(bytes(64)).retval == len(operations)
        self.done += len(operations)
        return [
            self._result(operation, *outcome)
            for operation, outcome in zip(operations, outcomes[: len(operations)].tolist(), strict=True)
        ]

    def _result(
        self, operation: Step, number: int, rank: int, dropped: int, length: int, mark: int
    ) -> Result:
        if isinstance(operation, NextDue):
            return Result(None, dropped, due=number)
        self.arrived += isinstance(operation, Arrive)
        self.left += number > 0
        return Result(number - 1 if number else None, dropped, rank, length, mark)

    def _count_slots(self, dropped: int) -> None:
        """Free and waiting ones are all there are, and no free one is free twice."""
        numbers = free_slots(self.loaded, self.packets)
        assert len(set(numbers)) == len(numbers)
        assert len(numbers) + self.arrived - self.left - dropped == self.packets.capacity


def _packed(operation: Step) -> tuple[object, ...]:
    if not isinstance(operation, Arrive):
        kind = LEAVE if isinstance(operation, Leave) else NEXT_DUE
        return (operation.now, (0, 0), kind, 0, 0, 0, 0, 0, 0, 0)
    now, flow, length, dscp, ecn, user, protocol, source, destination = operation
    return (now, user, ARRIVE, flow, length, source, destination, protocol, dscp, ecn)


def _performing(rig: Rig) -> Program:  # noqa: C901  # it is one program
    packets, scheduler = rig.packets, rig.scheduler

    def describe(packet: QueuedPacket, operation: Operation) -> None:
        packet.arrival, packet.flow, packet.length = operation.now, operation.flow, operation.length
        packet.tos, packet.protocol = operation.dscp << 2 | operation.ecn, operation.protocol
        packet.source_port = be16(operation.source_port)
        packet.destination_port = be16(operation.destination_port)
        packet.user = operation.user

    @global_subprogram
    def made_room(now: u64) -> bool:
        victim = scheduler.make_room(now)
        if victim is None:
            return False
        packets.drop(victim)
        return True

    @global_subprogram
    def arrive(index: u32) -> bool:
        operation = rig.operations.lookup(index)
        if operation is None:
            return False
        packet = packets.take()
        if packet is None and made_room(operation.now):
            packet = packets.take()
        if packet is None:
            return False
        serial = rig.serials.lookup(packet.slot)
        if serial is None:
            return False
        serial.value = rig.first.value + index
        describe(packet, operation)
        if not scheduler.enqueue(packet, operation.now):
            packets.give_back(packet)
            return False
        return True

    @global_subprogram
    def leave(index: u32) -> u32:
        operation, outcome = rig.operations.lookup(index), rig.outcomes.lookup(index)
        if operation is None or outcome is None:
            return 0
        packet = scheduler.dequeue(operation.now)
        if packet is None:
            return 0
        outcome.rank, outcome.length, outcome.mark = packet.rank, packet.length, u32(packet.mark)
        packets.give_back(packet)
        serial = rig.serials.lookup(packet.slot)
        return serial.value + 1 if serial is not None else 0

    @global_subprogram
    def next_due(now: u64) -> u64:
        return scheduler.next_due(now)

    def perform(index: u64, nothing: Nothing) -> int:
        operation, outcome = rig.operations.lookup(u32(index)), rig.outcomes.lookup(u32(index))
        if operation is None or outcome is None:
            return 1
        outcome.number, outcome.rank, outcome.length, outcome.mark = 0, 0, 0, 0
        if operation.kind == NEXT_DUE:
            outcome.number = next_due(operation.now)
        elif operation.kind == LEAVE:
            outcome.number = u64(leave(u32(index)))
        elif not arrive(u32(index)):
            packets.free.value.dropped += 1
        outcome.dropped = packets.free.value.dropped
        return 0

    @tc
    def program(packet: Tc) -> int:
        nothing = Nothing()
        return u32(helpers.loop(rig.count.value, perform, nothing))

    return program
