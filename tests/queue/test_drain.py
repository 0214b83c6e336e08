"""The drain that sleeps looks again when somebody else has decided for it when to."""

from __future__ import annotations

import time

import pytest

from penstock.queue.scheduler import NEVER
from penstock.queue.session import Queue
from penstock.schedulers.fifo import Fifo
from tests.queue.box import Box


def _until(queue: Queue) -> int:
    return int(queue._loaded[queue.egress.state].value.until)


def _sleeps(queue: Queue) -> bool:
    end = time.monotonic() + 2
    while _until(queue) != NEVER and time.monotonic() < end:
        time.sleep(0.01)
    return _until(queue) == NEVER


def test_another_program_that_finds_the_queue_busy_leaves_nothing_waiting(router: Box) -> None:
    """Its first run puts down that the drain looks at once: were that not so, nobody would wake it."""
    with router.queue(Fifo, 1_000_000) as queue:
        assert _sleeps(queue)
        busy = queue._loaded[queue.egress.owner.busy].value
        busy.flag = 1
        queue._drain.run_by(queue._schedulers.now.drain)
        assert _until(queue) != NEVER
        busy.flag = 0
        assert _sleeps(queue)


def test_what_a_drain_that_polled_left_is_looked_for(router: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet that found it busy, just before its end, has nobody else to take it."""
    with router.queue(Fifo, 1_000_000, drain="poll") as queue:
        plan = queue._plan

        def plan_after_the_drain_looked() -> None:
            assert _sleeps(queue)
            plan()
            queue._loaded[queue.egress.state].value.until = 1

        monkeypatch.setattr(queue, "_plan", plan_after_the_drain_looked)
        queue.set_drain("sleep")
        assert _sleeps(queue)
