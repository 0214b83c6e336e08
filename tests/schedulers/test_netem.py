from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.schedulers.netem import Netem, limit, percent
from tests.schedulers.compare import Packet, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Rig
from tests.schedulers.model_base import LATE, agree
from tests.schedulers.model_netem import NetemModel

pytestmark = NEEDED

HALF = 1 << 31


class CopyingRig(Rig):
    """Counts the packets that the scheduler adds."""

    copies = 0

    def _count_slots(self, dropped):
        self.arrived += self.copies
        super()._count_slots(dropped)
        self.arrived -= self.copies


@pytest.fixture(scope="module")
def rig():
    with CopyingRig(Netem, 64, seed=7) as rig:
        yield rig


def emulate(rig, **options):
    """Set the options in the kernel, and in a new model."""
    rig.scheduler.initial = {
        rig.scheduler.values[name]: options.get(name, option.parse(option.default))
        for name, option in Netem.options.items()
        if option.tunable
    }
    return NetemModel(rig.packets.capacity, seed=7, **options)


OPTIONS = {
    "delay": st.sampled_from([0, 1_000, 100_000, 10**7]),
    "jitter": st.sampled_from([0, 500, 200_000, 2 * 10**7]),
    "loss": st.sampled_from([0, HALF // 5, 1 << 32]),
    "reorder": st.sampled_from([0, HALF, 1 << 32]),
    "gap": st.integers(1, 4),
    "bandwidth": st.sampled_from([0, 10**7, 3 * 10**9]),
}


@settings(max_examples=2000)
@given(traffic(100), st.fixed_dictionaries({}, optional=OPTIONS))
def test_as_the_model(rig, operations, options):
    rig.copies = 0
    agree(rig, emulate(rig, **options), operations)


@settings(max_examples=1000)
@given(traffic(100), st.fixed_dictionaries({"duplicate": st.sampled_from([HALF, 1 << 32])}, optional=OPTIONS))
def test_as_the_model_with_copies(rig, operations, options):
    """A copy has no serial number of its own: here packets are told by departure and length."""
    model = emulate(rig, **options)
    sent = []
    for serial, operation in enumerate(operations):
        if isinstance(operation, Leave):
            sent.append(model.dequeue(operation.now))
        elif len(model.clock.heap) < rig.packets.capacity:
            model.enqueue(Packet(serial, *operation[:6]))
    sent += [model.dequeue(LATE) for _ in range(rig.packets.capacity)]
    rig.reset()
    rig.copies = model.copies
    results = rig.run(operations + [Leave(LATE)] * rig.packets.capacity)
    left = [result for result in results if result.serial is not None]
    expected = [(packet.tag, packet.length) for packet in sent if packet is not None]
    assert [(result.rank, result.length) for result in left] == expected


def test_delay_and_jitter(rig):
    emulate(rig, delay=10**8, jitter=10**7)
    rig.reset()
    rig.copies = 0
    delays = []
    for n in range(500):
        rig.run([Arrive(n * 10**9)])
        delays.append(rig.run([NextDue(n * 10**9)])[0].due - n * 10**9)
        assert rig.run([Leave(n * 10**9 + delays[-1])])[0].serial is not None
    assert 90_000_000 <= min(delays) < 91_000_000
    assert 109_000_000 < max(delays) <= 110_000_000
    assert sum(delays) / len(delays) == pytest.approx(10**8, rel=0.01)


@pytest.mark.parametrize(
    ("text", "share"), [("0%", 0), ("100%", 1 << 32), ("50 %", HALF), ("0.1%", 4_294_967)]
)
def test_percent(text, share):
    assert percent(text) == share


@pytest.mark.parametrize("text", ["", "5", "-1%", "101%", "x%"])
def test_what_is_no_percentage(text):
    with pytest.raises(ValueError, match="is not a share, such as"):
        percent(text)


def test_limit():
    assert (limit("none"), limit("10mbit")) == (0, 10_000_000)
    with pytest.raises(ValueError, match="must be more than 0"):
        limit("0mbit")
