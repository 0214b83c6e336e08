"""Any traffic, and a model of what leaves when: kernel and model must agree, packet by packet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.schedulers.harness import Arrive, Leave, Rig

FLOWS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 255, 256, 257, 0x7FFF_FFFF, 0x8000_0000, 0xDEAD_BEEF, 0xFFFF_FFFF]
SCALES = [1, 100, 10_000, 10**6, 10**9]
"""ns: how long packets are apart."""

_BYTES = 8


@dataclass(eq=False)
class Packet:
    """One packet of a model; `tag` is the model's own."""

    serial: int
    arrival: int
    flow: int
    length: int
    dscp: int
    ecn: int
    user: tuple[int, int]
    mark: int = 0
    tag: int = 0


class Model(ABC):
    """A scheduler as its paper has it. Methods do what those of the same names in `Scheduler` do."""

    @abstractmethod
    def enqueue(self, packet: Packet) -> bool: ...

    @abstractmethod
    def dequeue(self, now: int) -> Packet | None: ...

    def make_room(self, _now: int) -> Packet | None:
        return None


def expected(model: Model, operations: list[Arrive | Leave], capacity: int) -> list[tuple[int | None, int]]:
    """Which packet leaves at each operation, and how many are dropped up to it."""
    done: list[tuple[int | None, int]] = []
    waiting = dropped = 0
    for serial, operation in enumerate(operations):
        sent = None
        if isinstance(operation, Arrive):
            if waiting == capacity and model.make_room(operation.now) is not None:
                waiting, dropped = waiting - 1, dropped + 1
            accepted = waiting < capacity and model.enqueue(Packet(serial, *operation[:6]))
            waiting, dropped = waiting + accepted, dropped + (not accepted)
        elif (sent := model.dequeue(operation.now)) is not None:
            waiting -= 1
        done.append((sent.serial if sent is not None else None, dropped))
    return done


def agree(rig: Rig, model: Model, operations: list[Arrive | Leave], **tunables: int) -> None:
    """Perform operations, then let all leave that wait, in the kernel and in the model."""
    rig.reset(**tunables)
    end = operations[-1].now if operations else 0
    operations = operations + [Leave(end)] * (rig.packets.capacity + 1)
    done = [(result.serial, result.dropped) for result in rig.run(operations)]
    assert done == expected(model, operations, rig.packets.capacity)
    assert rig.arrived == rig.left + done[-1][1]


@st.composite
def traffic(draw: Callable[..., bytes], most: int = 120) -> list[Arrive | Leave]:
    """Bursts, idle times, few flows and many; from bytes, which Hypothesis makes quickly."""
    count = draw(st.integers(1, most))
    busy, scale, flows, *data = draw(st.binary(min_size=3 + _BYTES * count, max_size=3 + _BYTES * count))
    now = 0
    operations: list[Arrive | Leave] = []
    for start in range(0, _BYTES * count, _BYTES):
        kind, gap, flow, dscp, ecn, high, low, user = data[start : start + _BYTES]
        now += max(gap - 128, 0) * SCALES[scale % len(SCALES)] // 128
        if kind <= 64 + busy // 2:
            which, length = FLOWS[flow % (1 + flows % 16)], 1 + (high << 8 | low) % 9018
            operations.append(Arrive(now, which, length, dscp & 63, ecn & 3, (user, 0)))
        else:
            operations.append(Leave(now))
    return operations
