"""A demo: a slow link, bulk and interactive traffic; FIFO first, then FQ-CoDel, while it runs: make demo.

Three hosts (network namespaces): a client, a router, a server. The router has a queue before the link to the
server, which carries 20 Mbit/s, and measures RTTs as `penstock rtt` does: of a ping, of a connection with
requests and replies, and of four bulk transfers that begin after some seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from penstock.errors import PenstockError
from penstock.experiments import Line, Plot, Result
from penstock.experiments.report import check, write
from penstock.experiments.table import text
from penstock.lab import Host, Lab, RunningQueue, exchange, iperf, ping, run_queue
from penstock.queue.report import changes, table
from penstock.rtt.aggregates import Report
from penstock.rtt.live import Screen
from penstock.rtt.monitor import Monitor
from penstock.rtt.naming import Events
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind
from penstock.rtt.session import Session, Source
from penstock.rtt.totals import Totals

SECOND = 1_000_000_000
RATE, SLOTS, DELAY = "20mbit", 400, 5_000_000
QUIET, FIFO, FQ_CODEL = 4, 7, 10
"""Seconds: without bulk, with it under FIFO, and under FQ-CoDel."""
ALL = QUIET + FIFO + FQ_CODEL
SETTLED = 2.0
"""Seconds from a change until it shows: TCP has to fill the queue, or to empty it."""
REPORT = Path("build/demo")
KINDS = ("ping", "request", "bulk")


class Record:
    """What has been seen: RTTs, and what the queue counted. Times in seconds since the start."""

    def __init__(self, queue: RunningQueue) -> None:
        self.queue = queue
        self.batches: list[Events] = []
        self.counts: list[tuple[float, dict[str, Any]]] = []
        self.start = 0.0

    def begin(self) -> None:
        self.start = time.monotonic()
        self.look()

    def look(self) -> tuple[float, dict[str, Any]]:
        """Ask the queue what it has counted."""
        found = self.queue.statistics()
        self.counts.append((time.monotonic() - self.start, found))  # it may be busy with another scheduler
        return self.counts[-1]

    def events(self, events: Events) -> None:
        """Keep the RTTs of the server's replies, which leave towards the client."""
        self.batches.append(events[(events["kind"] == EventKind.RTT) & (events["on_egress"] == 1)])

    def rtts(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Times, and RTTs in ms, of each kind of traffic."""
        rtts = np.concatenate(self.batches)
        seconds = rtts["timestamp"].astype(np.int64) / SECOND - self.start
        tcp = rtts["protocol"] == 6
        early = np.unique(rtts["destination_port"][tcp & (seconds < QUIET)])
        requests = tcp & np.isin(rtts["destination_port"], early)
        chosen = dict(zip(KINDS, (~tcp, requests, tcp & ~requests), strict=True))
        return {kind: (seconds[which], rtts["rtt"][which] / 1e6) for kind, which in chosen.items()}

    def swapped(self) -> float:
        """When another scheduler was seen first."""
        return next(at for at, counts in self.counts if counts["scheduler"] == "FqCodel")


class Lines:
    """For a pipe: a line each second."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def begin(self) -> None:
        self.record.begin()

    def events(self, events: Events) -> None:
        self.record.events(events)

    def print(self) -> None:
        (before_at, before), (now, found) = self.record.counts[-1], self.record.look()
        recent = [rtts[seconds > before_at] for seconds, rtts in self.record.rtts().values()]
        medians = [f"{np.median(rtts):6.1f} ms" if len(rtts) else f"{'-':>9}" for rtts in recent]
        figures = "  ".join(f"{kind} {median}" for kind, median in zip(KINDS, medians, strict=True))
        queue = changes(before, found, now - before_at)
        print(f"{now:3.0f} s  {found['scheduler']:8}  {figures}  {queue}", flush=True)

    def reports(self, timestamp: int, reports: Sequence[Report]) -> None:
        """There are none: nothing is aggregated."""

    def reopen(self) -> None:
        """There is no file."""

    def end(self) -> None:
        """There is nothing to close."""


class Beside(Screen):
    """The live view of `penstock rtt`, and below it the queue's statistics."""

    def __init__(self, record: Record) -> None:
        super().__init__("p95")
        self.record = record

    def begin(self) -> None:
        super().begin()
        self.record.begin()

    def events(self, events: Events) -> None:
        super().events(events)
        self.record.events(events)

    def view(self, source: Source, size: tuple[int, int]) -> RenderableType:
        _, found = self.record.look()
        width, height = size
        queue = Text.assemble(("\npenstock queue\n", "bold"), table(found))
        return Group(super().view(source, (width, height - len(queue.plain.splitlines()))), queue)


def main() -> None:
    check(REPORT, "demo")
    print("penstock: setting up three hosts, and a queue of 20 Mbit/s between them", file=sys.stderr)
    with ThreadPoolExecutor() as threads, Lab() as lab:
        client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
        _, near = lab.link(client, router, xdp=True)
        far, _ = lab.link(router, server, delay=DELAY)
        queue = lab.enter_context(run_queue(router, "fifo", [near], far, rate=RATE, slots=SLOTS))
        record = Record(queue)
        with router.enter():
            monitor = lab.enter_context(
                Monitor([near.name], RttOptions(rate_limit=SECOND // 20), ingress="xdp")
            )
        ended = threading.Event()
        lab.callback(ended.set)
        story = threads.submit(tell, threads, client, server, queue, ended)
        totals = watch(monitor, record)
        if totals.seconds < ALL - 1:
            raise PenstockError("ended early: no report")
        story.result()
    print(f"penstock: {totals}\n")
    result = found_in(record)
    print(f"{text(result)}\n\npenstock: the report is {write(REPORT, [result], 'demo')}")


def watch(monitor: Monitor, record: Record) -> Totals:
    """Show what happens, to the end or until Ctrl-C."""
    watched = sys.stdout.isatty() and sys.stdin.isatty()
    sink = Beside(record) if watched else Lines(record)
    session = Session(monitor, sink, duration=ALL * SECOND)
    if isinstance(sink, Screen):
        sink.join(session.loop, monitor)
    else:
        session.loop.every(SECOND, lambda _: sink.print())
    return session.run()


def tell(
    threads: ThreadPoolExecutor, client: Host, server: Host, queue: RunningQueue, ended: threading.Event
) -> None:
    """All that happens, in its time; nothing more once all has ended."""
    pings = threads.submit(ping, client, server, count=10 * (ALL - 1), interval=0.1)
    with exchange(client, server, seconds=ALL - 1, interval=0.05) as requests:
        if ended.wait(QUIET):
            return
        with iperf(client, server, flows=4, seconds=FIFO + FQ_CODEL - 1, congestion="cubic") as bulk:
            if ended.wait(FIFO):
                return
            queue.swap("fq_codel")
            bulk.wait()
        requests.wait()
    pings.result()


def found_in(record: Record) -> Result:
    """Sum it up: a row for each phase, and what came when."""
    swapped, end = record.swapped(), record.counts[-1][0]
    phases = {
        "FIFO, no bulk": (0.0, float(QUIET)),
        "FIFO": (QUIET + SETTLED, swapped),
        "FQ-CoDel": (swapped + SETTLED, end - 1),
    }
    rtts = record.rtts()
    rows: list[dict[str, Any]] = []
    for name, (first, last) in phases.items():
        row: dict[str, Any] = {"case": name}
        for kind, (seconds, values) in rtts.items():
            within = values[(first <= seconds) & (seconds < last)]
            median, high = np.percentile(within, (50, 95)).round(2) if len(within) else ("-", "-")
            row |= {f"{kind}_median_ms": median, f"{kind}_p95_ms": high}
        rows.append(row | {"sent_mbps": round(sent_mbps(record, first, last), 2)})
    parameters = {"rate": RATE, "slots": str(SLOTS), "delay": f"{DELAY / 1e6:g}ms", "congestion": "cubic"}
    summary = "Interactive traffic beside bulk on a slow link: FIFO, then FQ-CoDel, while packets go on."
    return Result("demo", summary, parameters, rows, plots(record, swapped), command="make demo")


def sent_mbps(record: Record, first: float, last: float) -> float:
    within = [(at, counts["out"]["bytes"]) for at, counts in record.counts if first <= at <= last]
    (begin, before), (end, after) = within[0], within[-1]
    return 8 * (after - before) / (end - begin) / 1e6


def plots(record: Record, swapped: float) -> list[Plot]:
    """A line for each scheduler."""
    seconds, rtts = record.rtts()["request"]
    at = np.array([at for at, _ in record.counts])
    waiting = np.array([counts["waiting"]["packets"] for _, counts in record.counts])
    sent = np.array([counts["out"]["bytes"] for _, counts in record.counts])
    rates = 8 * np.diff(sent, prepend=0) / np.diff(at, prepend=np.nan) / 1e6

    def lines(times: np.ndarray, values: np.ndarray) -> list[Line]:
        both = (("FIFO", times < swapped), ("FQ-CoDel", times >= swapped))
        return [Line(name, values[which].tolist(), times[which].tolist()) for name, which in both]

    when = "time (s)"
    return [
        Plot(
            "latency",
            "How long a request takes that has bulk beside it",
            when,
            "RTT (ms)",
            lines(seconds, rtts),
            "points",
            log_y=True,
            note=f"The bulk begins after {QUIET} s and goes on to the end; then the scheduler changes.",
        ),
        Plot("waiting", "What waits before the link", when, "packets", lines(at, waiting), "step"),
        Plot(
            "sent",
            "What the link carries",
            when,
            "Mbit/s",
            lines(at[1:], rates[1:]),
            marks={"rate": float(RATE.removesuffix("mbit"))},
            note="Low latency need not cost throughput: it should be as busy after the change as before.",
        ),
    ]


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("penstock: the demo makes network namespaces and loads BPF programs: run it as root")
    try:
        main()
    except PenstockError as error:
        sys.exit(f"penstock: {error}")
