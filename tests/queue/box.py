"""Two hosts, and between them a box that queues; what they send, and what is read of the queue."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.lab import Host, Interface, Lab
from penstock.queue.link import Rate
from penstock.queue.scheduler import Scheduler
from penstock.queue.session import SENT, Queue

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
_FLOWS = [sys.executable, str(Path(__file__).with_name("flows.py"))]
_DATAGRAMS = [sys.executable, str(Path(__file__).with_name("datagrams.py"))]

_SAMPLES = 10
"""In 100 ms."""


class Box:
    """Hosts `a` and `b`, and between them `m`, which forwards; a queue goes from `a` to `b`."""

    def __init__(self, lab: Lab, how: str = "router") -> None:
        self.a, self.b = lab.host("a"), lab.host("b")
        self.m: Host = getattr(lab, how)("m")
        ends = lab.link(self.a, self.m), lab.link(self.m, self.b)
        for host in (self.a, self.b):
            for interface in host.interfaces:
                interface.offload(tx=False, tso=False, gso=False)
                interface.offload(gro=True)  # NAPI, without which veth takes no redirected frame
        self.source: Interface = ends[0][1]
        self.target: Interface = ends[1][0]

    @contextmanager
    def queue(
        self, scheduler: type[Scheduler], rate: Rate | int | None = None, **options: object
    ) -> Iterator[Queue]:
        link = rate if isinstance(rate, Rate) else Rate(rate)
        with (
            self.m.enter(),
            Queue([self.source.name], self.target.name, scheduler, rate=link, **options) as queue,
        ):
            yield queue

    def flows(self, codepoints: Sequence[int], begin: float, end: float, version: int = 4) -> Flows:
        """Have TCP flows of these DSCPs send; those bytes count that arrive from `begin` to `end`, in s."""
        address = self.b.address(version)
        serve = [*_FLOWS, "serve", address, *map(str, (len(codepoints), begin, end))]
        server = self.b.popen(serve, stdout=subprocess.PIPE)
        port = server.stdout.readline().strip()
        return Flows(server, self.a.popen([*_FLOWS, "send", address, port, *map(str, codepoints)]))

    @contextmanager
    def datagrams(self, size: int, per_second: int, seconds: float = 20, version: int = 4) -> Iterator[None]:
        """Have UDP packets of so many bytes of payload sent, for as long as the block takes."""
        arguments = map(str, (self.b.address(version), size, per_second, seconds))
        process = self.a.popen([*_DATAGRAMS, *arguments])
        try:
            yield
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Flows:
    """TCP flows under way."""

    server: subprocess.Popen[str]
    client: subprocess.Popen[str]

    def bytes(self) -> list[int]:
        """Wait for their end, and return what each brought."""
        output, _ = self.server.communicate(timeout=30)
        self.client.wait(timeout=30)
        return json.loads(output)


@dataclass(frozen=True)
class Sample:
    """What had left at a time."""

    time: float
    packets: int
    bytes: int
    at_once: int
    """How many of the packets did not wait."""
    waiting: int
    """How many still do."""


def sample(queue: Queue) -> Sample:
    counts = queue.counts()
    now = time.monotonic()
    sent = [getattr(counts, name) for name in SENT]
    packets, size = sum(each.packets for each in sent), sum(each.bytes for each in sent)
    at_once = counts.bypassed.packets + counts.sojourn[0]
    return Sample(now, packets, size, at_once, queue.waiting())


def watch(queue: Queue, seconds: float) -> list[Sample]:
    """Look at a queue again and again, at a time in which packets always wait."""
    for _ in range(5):  # senders may be kept from their CPU
        samples = [sample(queue)]
        while samples[-1].time < samples[0].time + seconds:
            time.sleep(0.1 / _SAMPLES)
            samples.append(sample(queue))
        if samples[-1].at_once == samples[0].at_once and all(each.waiting for each in samples):
            return samples
    raise AssertionError("senders cannot keep the queue busy on this machine")


def rate(first: Sample, last: Sample) -> float:
    """Return bits per second between two samples."""
    return (last.bytes - first.bytes) * 8 / (last.time - first.time)


def rates(samples: Sequence[Sample]) -> list[float]:
    """Return the rates over all times of about 100 ms."""
    return [rate(*pair) for pair in zip(samples, samples[_SAMPLES:], strict=False)]


def twice(check: Callable[[], None]) -> None:
    """Check a measurement; if that fails, measure once more.

    A virtual machine may stand still for longer than any queue can make up for.
    """
    try:
        check()
    except AssertionError:
        check()
