from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from penstock.schedulers.hpfq import Hpfq, Hpfq3
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_hpfq import HpfqModel

pytestmark = NEEDED

WEIGHTS = [1, 2, 4, 8, 16, 64, 128, 256]
"""Powers of two: the kernel's virtual times, in 256ths, are exact."""
FLOWS = 8
CAPACITY = 24


@pytest.fixture(scope="module", params=[Hpfq, Hpfq3])
def rig(request):
    with Rig(
        request.param, CAPACITY, flows=FLOWS, **{f"cs{n}": weight for n, weight in enumerate(WEIGHTS)}
    ) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(150))
def test_as_the_model(rig, operations):
    levels = 2 if type(rig.scheduler) is Hpfq else 3
    agree(rig, HpfqModel(WEIGHTS, FLOWS, levels, CAPACITY), operations)


def test_shares_by_weight_and_within_a_class_alike(rig):
    """Classes of 1:2:3, a weight that does not divide evenly; the second has two flows, of unlike packets."""
    rig.reset()
    for n, weight in enumerate((1, 2, 3)):
        rig.set(f"cs{n}", weight)
    kinds = [(0, 1, 1000), (8, 1, 1000), (8, 2, 500), (16, 1, 1000)]
    steps = [Arrive(0, flow, length, dscp) for dscp, flow, length in kinds for _ in range(3)]
    sent = Counter[int]()
    of = dict(enumerate(kind for kind in range(4) for _ in range(3)))
    rig.run(steps)
    for _ in range(600):
        serial = rig.run([Leave(0)])[0].serial
        kind = of.pop(serial)
        dscp, flow, length = kinds[kind]
        sent[kind] += length
        of[rig.done] = kind
        rig.run([Arrive(0, flow, length, dscp)])
    total = sum(sent.values())
    assert [sent[kind] / total for kind in range(4)] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], rel=0.03)
