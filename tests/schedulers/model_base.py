"""Models that drop, mark and hold back, and how the kernel is compared with them: packet by packet."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tests.schedulers.compare import Packet
from tests.schedulers.harness import Arrive, Leave, NextDue, Result, Rig, Step

LATE = 10**13
"""ns: after that time the next packet is due, whatever left before."""


class TimedModel(ABC):
    """A scheduler as its paper has it. Methods do what those of the same names in `Scheduler` do."""

    def __init__(self) -> None:
        self.dropped = 0

    @abstractmethod
    def enqueue(self, packet: Packet) -> bool: ...

    @abstractmethod
    def dequeue(self, now: int) -> Packet | None: ...

    def make_room(self, _now: int) -> Packet | None:
        return None

    def next_due(self, now: int) -> int:
        return now

    def drop(self, _packet: Packet) -> None:
        self.dropped += 1


def agree(rig: Rig, model: TimedModel, operations: list[Arrive | Leave], **tunables: int) -> list[Result]:
    """Perform operations, then let all leave that waits, in the kernel and in the model; what they did."""
    rig.reset(**tunables)
    steps: list[Step] = [step for one in operations for step in (one, NextDue(one.now))]
    steps += [Leave(LATE * (n + 1)) for n in range(rig.packets.capacity + 1)]
    results = rig.run(steps)
    done = [result._replace(rank=0, length=0) for result in results]
    assert done == expected(model, steps, rig.packets.capacity)
    assert rig.arrived == rig.left + results[-1].dropped
    return results


def expected(model: TimedModel, steps: list[Step], capacity: int) -> list[Result]:
    results: list[Result] = []
    arrived = left = 0
    for serial, step in enumerate(steps):
        sent, due = None, 0
        if isinstance(step, NextDue):
            due = model.next_due(step.now)
        elif isinstance(step, Leave):
            sent = model.dequeue(step.now)
            left += sent is not None
        else:
            packet = Packet(serial, *step[:6])
            if arrived - left - model.dropped == capacity and (victim := model.make_room(step.now)):
                model.drop(victim)
            if arrived - left - model.dropped == capacity or not model.enqueue(packet):
                model.drop(packet)
            arrived += 1
        serial_, mark = (sent.serial, sent.mark) if sent is not None else (None, 0)
        results.append(Result(serial_, model.dropped, mark=mark, due=due))
    return results
