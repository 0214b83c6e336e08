"""What user space sees of a PIFO."""

from __future__ import annotations

import random
import threading
from collections import Counter

import numpy as np
import pytest

from penstock.kernel import features
from penstock.queue.pifo import Pifo
from penstock.queue.view import PifoView
from tests.queue.pifo_model import POP, PUSH, Kernel

pytestmark = pytest.mark.needs(features.FOR_EACH)


def view_of(kernel: Kernel) -> PifoView:
    return PifoView(kernel.pifo, kernel.loaded[kernel.pifo.states], kernel.loaded[kernel.pifo.nodes])


@pytest.mark.parametrize("granularity", [1, 4, 1024])
def test_it_counts_what_waits(granularity):
    """In the window, beyond it and before it, in two groups, after thousands came and went."""
    chance = random.Random(granularity)
    kernel = Kernel(Pifo(1000, window=256, granularity=granularity, groups=2))
    with kernel.loaded:
        view = view_of(kernel)
        waiting = [Counter[int](), Counter[int]()]
        now = 2**63
        for pushes in [0.5, 0.9, 0.4, 0.9, 0.1, 0.1, 0.1]:
            asked = []
            for _ in range(1500):
                what = PUSH if chance.random() < pushes else POP
                rank = now + granularity * chance.choice(
                    [chance.randrange(-9, 200), chance.getrandbits(12), 0]
                )
                asked.append((what, chance.randrange(2), rank, 0))
            for (what, group, pushed, _), (done, popped, _) in zip(asked, kernel.perform(asked), strict=True):
                rank = (pushed if what == PUSH else popped) // granularity * granularity
                waiting[group][rank] += done if what == PUSH else -done
                now = max(now, popped)
            for group in range(2):
                ranks, counts = view.counts(group)
                assert dict(zip(ranks.tolist(), counts.tolist(), strict=True)) == +waiting[group]
                assert (ranks[1:] > ranks[:-1]).all()
                assert view.length(group) == waiting[group].total()


def test_the_highest_ranks():
    kernel = Kernel(Pifo(10, granularity=1024))
    with kernel.loaded:
        kernel.perform([(PUSH, 0, rank, 0) for rank in (2**64 - 1, 0, 2**64 - 1024, 1023)])
        ranks, counts = view_of(kernel).counts()
        assert ranks.tolist() == [0, 2**64 - 1024]
        assert counts.tolist() == [2, 2]


def test_nothing_waits():
    kernel = Kernel(Pifo(10))
    with kernel.loaded:
        view = view_of(kernel)
        assert view.length() == 0
        assert [len(part) for part in view.counts()] == [0, 0]
        with pytest.raises(IndexError):
            view.length(1)


def test_nonsense_is_survived():
    """Whatever is read halfway: it neither raises nor goes on for ever."""
    chance = np.random.default_rng(5)
    kernel = Kernel(Pifo(100, window=64, groups=3))
    with kernel.loaded:
        view = view_of(kernel)
        for _ in range(300):
            for state in kernel.states:
                state["first"] = chance.integers(0, 2**64, dtype=np.uint64)
                state["in_heap"] = chance.integers(0, 110)
                state["heap"] = chance.integers(0, 2**32, len(state["heap"]), dtype=np.uint32)
                state["buckets"]["head"] = chance.integers(0, 2**32, 64) * (chance.random(64) < 0.5) % 330
            kernel.nodes["following"] = chance.integers(0, 330, len(kernel.nodes))
            kernel.nodes["rank"] = chance.integers(0, 2**64, len(kernel.nodes), dtype=np.uint64)
            for group in range(3):
                ranks, counts = view.counts(group)
                assert len(ranks) == len(counts) <= 64 + 100
                assert (counts >= 0).all()


def test_while_a_program_runs():
    """Read as it changes, until thirty different lengths were seen."""
    kernel = Kernel(Pifo(1000, window=256))
    with kernel.loaded:
        view = view_of(kernel)
        chance = random.Random(1)
        asked = [(chance.choice([PUSH, POP]), 0, chance.randrange(600), 0) for _ in range(4000)]
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                kernel.perform(asked[chance.randrange(len(asked)) :])

        running = threading.Thread(target=run)
        running.start()
        try:
            seen = set[int]()
            while len(seen) < 30:
                seen.add(int(view.counts()[1].sum()))
        finally:
            stop.set()
            running.join()
        _, counts = view.counts()
        assert counts.sum() == view.length()
