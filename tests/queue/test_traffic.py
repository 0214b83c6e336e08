"""The link's rate, and CPU time, under the kernel's own TCP and UDP between network namespaces."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from penstock.lab import bulk, ping
from penstock.queue.link import Rate
from penstock.queue.session import Queue
from penstock.schedulers.fifo import Fifo
from tests.queue.box import PENSTOCK, Box, rate, rates, twice, watch

MBIT = 1_000_000
SLOTS = {10 * MBIT: 100, 100 * MBIT: 500, 1000 * MBIT: 5000}
"""At each rate, room for so much that the link is busy also while senders are kept from their CPU."""

TCP_SHARE = 1448 / 1514
"""Of a frame of 1500 bytes of IP with timestamps, what is TCP's payload."""

FRAMING = {"overhead": 24, "least": 84}
"""What Ethernet adds, as tc's `overhead` and `mpu`."""


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("bits_per_second", SLOTS)
def test_tcp_gets_what_the_link_carries(box: Box, bits_per_second: int, version: int) -> None:
    slots = SLOTS[bits_per_second]
    with (
        box.queue(Fifo, bits_per_second, slots=slots) as queue,
        bulk(box.a, box.b, flows=4, seconds=20, version=version),
    ):
        time.sleep(0.5)
        twice(lambda: keeps_to(bits_per_second, queue))


@pytest.mark.parametrize("bits_per_second", SLOTS)
def test_udp_gets_what_the_link_carries(router: Box, bits_per_second: int) -> None:
    wanted = int(1.2 * bits_per_second / (8 * 1442))
    with (
        router.queue(Fifo, bits_per_second, slots=SLOTS[bits_per_second]) as queue,
        router.datagrams(1400, wanted),
    ):
        time.sleep(0.5)
        twice(lambda: keeps_to(bits_per_second, queue))


def keeps_to(bits_per_second: int, queue: Queue) -> None:
    """See to it that the link's average is right, and what leaves in any 100 ms."""
    samples = watch(queue, 1)
    assert rate(samples[0], samples[-1]) == pytest.approx(bits_per_second, rel=0.01)
    assert min(rates(samples)) > 0.95 * bits_per_second
    assert max(rates(samples)) < 1.05 * bits_per_second
    assert queue.counts().failed.packets == queue.counts().crowded.packets == 0


def test_a_slow_link(router: Box) -> None:
    """At 100 kbit/s few packets leave in 100 ms, so only the average can be right."""

    def right() -> None:
        samples = watch(queue, 4)
        assert rate(samples[0], samples[-1]) == pytest.approx(100_000, rel=0.01)

    with router.queue(Fifo, 100_000, slots=20) as queue, router.datagrams(100, 200):
        time.sleep(0.5)
        twice(right)


@pytest.mark.parametrize(("payload", "on_the_link"), [(18, 84), (200, 242 + 24)])
def test_small_packets_take_their_framing_too(router: Box, payload: int, on_the_link: int) -> None:
    link = Rate(10 * MBIT, **FRAMING)

    def right() -> None:
        samples = watch(queue, 1)
        packets, seconds = samples[-1].packets - samples[0].packets, samples[-1].time - samples[0].time
        assert packets * on_the_link * 8 / seconds == pytest.approx(10 * MBIT, rel=0.01)

    with router.queue(Fifo, link, slots=200) as queue, router.datagrams(payload, 20_000):
        time.sleep(0.5)
        twice(right)


def test_one_flow_at_one_gigabit(router: Box) -> None:
    """By default, packets that arrive send as many as the drain at least, and TCP fills the link."""

    def right() -> None:
        with router.queue(Fifo, 1000 * MBIT) as queue:
            flows = router.flows([0], 0.5, 2.5)
            time.sleep(1)
            before = queue.statistics()
            (received,) = flows.bytes()
            after = queue.statistics()
        bypassed, swapped, drained = (
            after[how]["packets"] - before[how]["packets"] for how in ("bypassed", "swapped", "drained")
        )
        assert received * 8 / 2 >= 0.95 * 1000 * MBIT * TCP_SHARE
        assert bypassed + swapped >= drained

    twice(right)


def test_an_idle_queue_takes_no_cpu_time(router: Box) -> None:
    """After traffic, too: no thread but the first one runs at all, and that looks now and then."""
    command = [PENSTOCK, "queue", "run", "fifo", "--from", router.source.name, "--to", router.target.name]
    process = router.m.popen([*command, "--rate", "50mbit"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert "Ctrl-C ends it" in process.stderr.readline()
    with bulk(router.a, router.b, flows=4, seconds=0.5) as transfer:
        transfer.wait()
    assert len(ping(router.a, router.b, count=3).rtts_ms) == 3
    time.sleep(0.5)
    before, start = runs(process.pid), time.monotonic()
    time.sleep(2)
    after, passed = runs(process.pid), time.monotonic() - start
    first = str(process.pid)
    assert len(before) > 1
    assert {each: after[each] for each in after if each != first} == {
        each: before[each] for each in before if each != first
    }
    assert after[first] - before[first] < 0.002 * passed * 1e9
    process.send_signal(signal.SIGINT)
    process.wait()


def runs(process: int) -> dict[str, int]:
    """How many ns each thread has run."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}
