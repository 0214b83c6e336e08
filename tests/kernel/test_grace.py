"""To wait for programs is to wait for those that run, however long they take."""

from __future__ import annotations

import os
import threading
import time

import pytest

import penstock
from penstock.kernel.features import LOOP_CALLS
from penstock.kernel.grace import wait_for_programs
from penstock.lang import Global, Struct, Tc, helpers, tc, u64

pytestmark = pytest.mark.needs(LOOP_CALLS)

ROUNDS = 1 << 20


class Stage(Struct):
    begun: u64
    ended: u64


class Nothing(Struct):
    unused: u64


stage = Global(Stage, name="stage")


def wait(number: u64, nothing: Nothing) -> int:
    nothing.unused = helpers.ktime_get_ns()
    return 0


@tc
def slow(packet: Tc) -> int:
    stage.value.begun = 1
    nothing = Nothing()
    helpers.loop(ROUNDS, wait, nothing)
    stage.value.ended = 1
    return 0


def test_a_program_that_runs_has_ended() -> None:
    here, there = sorted(os.sched_getaffinity(0))[:2]  # it leaves its CPU to nobody
    with penstock.load(slow) as loaded:
        seen = loaded[stage].value

        def run() -> None:
            os.sched_setaffinity(0, [there])
            loaded[slow].test_run(bytes(64))

        os.sched_setaffinity(0, [here])
        runs = threading.Thread(target=run)
        runs.start()
        while not seen.begun:
            time.sleep(0.0001)
        still = not seen.ended
        wait_for_programs()
        assert still
        assert seen.ended
        runs.join()
        os.sched_setaffinity(0, [here, there])
