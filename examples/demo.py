"""A demo: RTTs through a slow link, idle, under load, and idle again, as `penstock rtt` sees them: make demo.

Three hosts (network namespaces): a client, a router, a server. The link from the router to the server carries
20 Mbit/s and has a deep buffer. The router measures; a ping and a request/reply connection are there all the
time, four bulk transfers for the eight seconds in the middle.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from penstock.errors import PenstockError
from penstock.lab import Host, Lab, bulk, exchange, ping
from penstock.rtt.aggregates import Report
from penstock.rtt.formats import FORMATS
from penstock.rtt.live import Screen
from penstock.rtt.monitor import Monitor
from penstock.rtt.naming import Events
from penstock.rtt.options import RttOptions
from penstock.rtt.printer import Printer
from penstock.rtt.records import EventKind
from penstock.rtt.session import Session

SECOND = 1_000_000_000
IDLE, LOADED, AFTER = 6, 8, 6
LINK = "rate 20mbit burst 32kb latency 250ms"
PHASES = (("idle", 1, IDLE), ("under load", IDLE + 2, IDLE + LOADED), ("idle again", IDLE + LOADED + 2, 60))
"""What each phase is called, and when it begins and ends, in seconds, without the changes between them."""


class Recorder:
    """Shows events as `sink` does, and keeps the RTTs for the summary."""

    def __init__(self, sink: Screen | Printer) -> None:
        self.sink = sink
        self.batches: list[Events] = []
        self.start = 0

    def begin(self) -> None:
        self.start = time.monotonic_ns()
        self.sink.begin()

    def events(self, events: Events) -> None:
        self.batches.append(events[events["kind"] == EventKind.RTT])
        self.sink.events(events)

    def reports(self, timestamp: int, reports: Sequence[Report]) -> None:
        self.sink.reports(timestamp, reports)

    def reopen(self) -> None:
        self.sink.reopen()

    def end(self) -> None:
        self.sink.end()


def main() -> None:
    watched = sys.stdout.isatty() and sys.stdin.isatty()
    sink = Screen("p95") if watched else Printer(FORMATS["standard"](several=False))
    with Lab() as lab:
        client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
        lab.link(client, router)
        slow, _ = lab.link(router, server)
        router.run(["tc", "qdisc", "add", "dev", slow.name, "root", "tbf", *LINK.split()])
        options = RttOptions(rate_limit=SECOND // (10 if watched else 1))
        recorder = Recorder(sink)
        with ExitStack() as measuring:
            with router.enter():
                monitor = measuring.enter_context(Monitor([slow.name], options))
            traffic = threading.Thread(target=send, args=(client, server))
            traffic.start()
            session = Session(monitor, recorder, duration=(IDLE + LOADED + AFTER) * SECOND)
            if isinstance(sink, Screen):
                sink.join(session.loop, monitor)
            totals = session.run()
    traffic.join()
    print(f"penstock: {totals}\n")
    summarise(recorder)


def send(client: Host, server: Host) -> None:
    """All the traffic; it ends by itself, or with its hosts."""
    total = IDLE + LOADED + AFTER
    pings = threading.Thread(
        target=ping, args=(client, server), kwargs={"count": 5 * total - 10, "interval": 0.2}
    )
    pings.start()
    with exchange(client, server, seconds=total - 1, interval=0.05) as requests:
        time.sleep(IDLE)
        with bulk(client, server, flows=4, seconds=LOADED) as load:
            load.wait()
        requests.wait()
    pings.join()


def summarise(recorder: Recorder) -> None:
    """Print the median and 95th percentile of each kind of traffic in each phase."""
    rtts = np.concatenate(recorder.batches, dtype=recorder.batches[0].dtype)
    seconds = (rtts["timestamp"].astype(np.int64) - recorder.start) / SECOND
    tcp = rtts["protocol"] == 6
    quiet = np.unique(rtts["destination_port"][tcp & (seconds < IDLE - 1)])
    kinds = {
        "ping": ~tcp,
        "request and reply": tcp & np.isin(rtts["destination_port"], quiet),
        "bulk": tcp & ~np.isin(rtts["destination_port"], quiet),
    }
    forward = rtts["on_egress"] == 0  # replies that come back over the slow link
    print("RTT over the slow link, median / p95 in ms")
    print(f"{'':20}" + "".join(f"{name:>18}" for name, _, _ in PHASES))
    for kind, chosen in kinds.items():
        cells = [
            figures(rtts["rtt"][chosen & forward & (first <= seconds) & (seconds < last)])
            for _, first, last in PHASES
        ]
        print(f"{kind:20}" + "".join(f"{cell:>18}" for cell in cells))


def figures(rtts: Events) -> str:
    if not len(rtts):
        return "-"
    median, high = np.percentile(rtts / 1e6, (50, 95))
    return f"{median:.2f} / {high:.2f}"


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("penstock: the demo makes network namespaces and loads BPF programs: run it as root")
    try:
        main()
    except PenstockError as error:
        sys.exit(f"penstock: {error}")
