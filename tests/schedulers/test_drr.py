from __future__ import annotations

import itertools
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.schedulers.drr import Drr, full_frames
from penstock.schedulers.fq_codel import BATCH
from tests.schedulers.compare import traffic
from tests.schedulers.fair import apart, backlogs, shares
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig
from tests.schedulers.model_base import TimedModel, agree

pytestmark = NEEDED

FLOWS = 8


class DrrModel(TimedModel):
    """The paper's two procedures; the second gives a packet whenever it is asked to go on."""

    def __init__(self, quantum):
        super().__init__()
        self.quantum = quantum
        self.queues = [deque() for _ in range(FLOWS)]
        self.deficits = [0] * FLOWS
        self.active = deque()
        self.current = None
        self.departures = self.serve()

    def enqueue(self, packet):
        flow = packet.flow % FLOWS
        if flow not in self.active and flow != self.current:
            self.active.append(flow)
            self.deficits[flow] = 0
        self.queues[flow].append(packet)
        return True

    def serve(self):
        while True:
            if not self.active:
                yield None
                continue
            flow = self.current = self.active.popleft()
            queue = self.queues[flow]
            self.deficits[flow] += self.quantum
            while self.deficits[flow] > 0 and queue:
                if queue[0].length > self.deficits[flow]:
                    break
                self.deficits[flow] -= queue[0].length
                yield queue.popleft()
            self.current = None
            if queue:
                self.active.append(flow)
            else:
                self.deficits[flow] = 0

    def dequeue(self, _now):
        return next(self.departures)

    def make_room(self, _now):
        """Half of the longest queue; the last of those packets is the caller's to drop."""
        longest = max(self.queues, key=size)
        half = size(longest) // 2
        for _ in range(BATCH - 1):
            if size(longest) - longest[0].length <= half:
                break
            self.drop(longest.popleft())
        return longest.popleft()


def size(queue):
    return sum(packet.length for packet in queue)


@pytest.fixture(scope="module", params=[8, 200])
def rig(request):
    with Rig(Drr, request.param, flows=FLOWS) as rig:
        yield rig


@pytest.fixture(scope="module")
def long():
    with Rig(Drr, 1024) as rig:
        yield rig


@settings(max_examples=1000)
@given(traffic(300), st.sampled_from([1514, 3000, 9018, 100_000]))
def test_as_the_model(rig, operations, quantum):
    agree(rig, DrrModel(quantum), operations, quantum=quantum)


@given(backlogs, st.integers(9018, 20_000))
def test_shares_are_as_near_as_the_paper_says(long, flows, quantum):
    """Theorem: two flows that wait differ by less than a quantum and two largest packets."""
    sent = shares(long, flows, quantum=quantum)
    for one, other in itertools.combinations(range(len(flows)), 2):
        assert apart(sent, one, other, [1] * len(flows)) <= quantum + 2 * 9018


def test_a_full_queue_drops_from_the_head_of_the_longest(rig):
    room, batch = rig.packets.capacity, min(rig.packets.capacity // 2, BATCH)
    rig.reset()
    rig.run([Arrive(0, flow=4), *[Arrive(1, flow=5)] * (room - 1)])
    assert rig.run([Arrive(2, flow=6)])[0].dropped == batch
    assert [result.serial for result in rig.run([Leave(3)] * 2)] == [0, 1 + batch]


@pytest.mark.parametrize("text", ["0", "1513", "1k", "2mb"])
def test_a_quantum_is_a_frame_at_least_and_a_megabyte_at_most(text):
    with pytest.raises(ValueError, match="at least 1514 bytes, and at most 1mb"):
        full_frames(text)


def test_small_packets_do_not_pay_for_large_ones(long):
    """The reason for deficits: by turns of packets, the one flow would get ten times as much."""
    long.reset()
    long.run([Arrive(0, flow=n % 2, length=[100, 1000][n % 2]) for n in range(1000)])
    sent = [result.length for result in long.run([Leave(1)] * 500)]
    assert sent.count(100) * 100 == pytest.approx(sent.count(1000) * 1000, rel=0.1)
