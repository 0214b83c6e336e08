"""How flows share a link: the kernel's own TCP between network namespaces."""

from __future__ import annotations

import pytest

from penstock.queue.scheduler import Scheduler
from penstock.schedulers.drr import Drr
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.stfq import Stfq
from penstock.schedulers.wfq import Wfq
from tests.queue.box import Box, twice

RATE = 100_000_000
WEIGHTS = {"cs1": "1", "cs2": "2", "cs3": "4"}
CODEPOINTS = (8, 16, 24)
"""Of these classes."""


@pytest.mark.parametrize(("scheduler", "version"), [(Stfq, 4), (Wfq, 6)])
def test_flows_share_by_weight(router: Box, scheduler: type[Scheduler], version: int) -> None:
    def right() -> None:
        with router.queue(scheduler, RATE, options=WEIGHTS):
            received = router.flows(CODEPOINTS, 1, 2.5, version).bytes()
        shares = [7 * size / sum(received) for size in received]
        assert shares == pytest.approx([1, 2, 4], rel=0.05)

    twice(right)


@pytest.mark.parametrize("scheduler", [Drr, Stfq, FqCodel])
def test_eight_flows_share_equally(router: Box, scheduler: type[Scheduler]) -> None:
    def right() -> None:
        with router.queue(scheduler, RATE):
            received = router.flows([0] * 8, 1, 2.5).bytes()
        assert jain(received) >= 0.99

    twice(right)


def jain(shares: list[int]) -> float:
    """Return Jain's index of fairness (Jain, Chiu and Hawe, DEC-TR-301, 1984)."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
