"""Schedulers in the programs of a queue, where the verifier has most to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.queue.catalogue import find, names
from penstock.queue.egress import Egress
from penstock.queue.frames import Frames
from penstock.queue.generation import Generation
from penstock.queue.handover import Handover
from penstock.queue.packets import Packets
from penstock.schedulers.fq_codel import FqCodel
from tests.schedulers.harness import NEEDED

pytestmark = NEEDED

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", [*names(), "hpfq:Hpfq3", "pfabric.py", "reservations.py"])
def test_it_takes_over_from_fq_codel(name: str) -> None:
    """Both are in one program then; and FQ-CoDel takes the verifier most steps."""
    packets = Packets(1000, 128)
    scheduler = find(str(EXAMPLES / name) if name.endswith(".py") else name)(packets)
    both = Handover(FqCodel(packets), scheduler, 0)
    with Generation(Egress(1, packets, Frames(packets, 1536), both), scheduler, {}, {}).loaded as loaded:
        assert loaded[packets.table]
