"""Overhead: what is left for forwarding while RTTs are measured."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock import units
from penstock.experiments.buffer import PAYLOAD
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.lines import line
from penstock.experiments.observers import Observation, in_kernel, in_user_space
from penstock.experiments.result import Plot, Result, row
from penstock.lab import Lab, bulk, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from penstock.lab import Interface

NOTHING: Final = "nothing"
RTT: Final = "rtt_"
"""And the rate limit."""
PCAP: Final = "pcap"

_SENDERS: Final = 2
"""Processes that send, and as many that receive: more than one, or CPUs would be idle."""

_LONG: Final = 3600.0
_BEGIN: Final = 0.3
"""s that whoever measures has before it counts: packets of flows that it does not know yet take longer."""

_SECOND: Final = 1e9


def rate_limits(text: str) -> tuple[str, ...]:
    """Return times of a list with commas, as they are. ValueError if they are none."""
    found = tuple(each.strip() for each in text.split(","))
    for each in found:
        units.duration(each)
    return found


@dataclass(frozen=True)
class _Look:
    """Counts until now; what lies between two of them is counted in a time."""

    time: float
    busy: float
    """s of CPU time, of all CPUs."""
    own: float
    """Of those who measure."""
    forwarded: int
    """Bytes that left the router towards the server."""
    packets: int
    """Of the interface where RTTs are measured, both ways."""


class Overhead(Experiment):
    """Forwarding 1 to 1000 TCP flows while their RTTs are measured: what that costs, and what it sees.

    A router forwards bulk TCP as fast as the machine can. RTTs are measured on it by nobody, by penstock rtt
    with several rate limits, or in user space by tcpdump and a reader. Sender, receiver and router share the
    CPUs: what measuring takes, they do not have.
    """

    duration = Option(units.duration, "1s", "how long each case is measured")
    flows = Option(units.counts, "1,10,100,1000", "numbers of TCP flows")
    rate_limits = Option(rate_limits, "0ms,10ms,100ms,1s", "of penstock rtt")
    congestion = Option(str, "cubic", "congestion control of the flows")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure all cases, once in each run, beginning with another one each time."""
        whos = (NOTHING, *(f"{RTT}{limit}" for limit in self.rate_limits), PCAP)
        found: dict[tuple[str, int], list[dict[str, float]]]
        found = {(who, flows): [] for flows in self.flows for who in whos}
        for number in range(self.runs):
            first = number * len(whos) // self.runs
            for flows in self.flows:
                with self._forwarding(flows) as (interface, towards):
                    for who in whos[first:] + whos[:first]:
                        tell(f"run {number + 1}: {flows} flows, {who}")
                        found[who, flows].append(self._measure(_observe(who, interface), interface, towards))
        rows = [row(f"{who}_{flows}", runs, flows=flows) for (who, flows), runs in found.items()]
        return Result("overhead", self.summary(), self.parameters, rows, list(_plots(rows)))

    @contextmanager
    def _forwarding(self, flows: int) -> Generator[tuple[Interface, Interface]]:
        """Have flows pass a router; yield its interfaces towards the client and the server."""
        with Lab() as lab:
            client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
            links = lab.link(client, router), lab.link(router, server)
            for end in (end for link in links for end in link):
                end.offload(tso=False, gso=False, gro=False)  # packets pass one by one
            senders = min(flows, _SENDERS)
            for number in range(senders):
                own = (flows + number) // senders
                lab.enter_context(bulk(client, server, flows=own, seconds=_LONG, congestion=self.congestion))
            time.sleep(1 + flows / 500)  # until all of them are there
            yield links[0][1], links[1][0]

    def _measure(
        self, observer: AbstractContextManager[Observation], interface: Interface, towards: Interface
    ) -> dict[str, float]:
        with observer as seen:
            time.sleep(_BEGIN)
            start, before = time.time(), _look(seen, interface, towards)
            time.sleep(self.duration / _SECOND)
            end, after = time.time(), _look(seen, interface, towards)
        passed, busy = after.time - before.time, after.busy - before.busy
        figures = {
            "goodput_mbps": (after.forwarded - before.forwarded) * 8 * PAYLOAD / passed / 1e6,
            "cpu_percent": 100 * busy / passed / (os.cpu_count() or 1),
            "cpu_per_packet_ns": busy * _SECOND / max(after.packets - before.packets, 1),
        }
        if seen.times is not None:
            figures["own_cpu_percent"] = 100 * (after.own - before.own) / passed
            figures["processed_percent"] = 100 * seen.processed
            during = (seen.times >= start) & (seen.times < end)
            figures["rtts_per_second"] = float(np.count_nonzero(during)) / (end - start)
        return figures


def _observe(who: str, interface: Interface) -> AbstractContextManager[Observation]:
    if who == NOTHING:
        return nullcontext(Observation())
    if who == PCAP:
        return in_user_space(interface)
    return in_kernel(interface, who.removeprefix(RTT))


def _look(seen: Observation, interface: Interface, towards: Interface) -> _Look:
    own, there = (_counts(each) for each in (interface, towards))
    packets = own["rx_packets"] + own["tx_packets"]
    return _Look(time.monotonic(), cpu_seconds(), seen.cpu_seconds(), there["tx_bytes"], packets)


def _counts(interface: Interface) -> Mapping[str, int]:
    return interface.host.netlink.get_links(interface.index)[0].get("stats64")


def _plots(rows: Sequence[Mapping[str, Any]]) -> Iterator[Plot]:
    whos = list(dict.fromkeys(row["case"].rpartition("_")[0] for row in rows))
    for name, figure, title, y, note in (
        (
            "goodput",
            "goodput_mbps",
            "Goodput",
            "Mbit/s",
            "All CPUs are shared: what measuring takes is missing here.",
        ),
        (
            "cpu",
            "cpu_per_packet_ns",
            "CPU time for each packet",
            "ns, of all that the machine does",
            "Sender, receiver and router included. What is above nothing is the price of measuring.",
        ),
        (
            "processed",
            "processed_percent",
            "Packets that were processed",
            "%",
            "The others were dropped, or not got to in time.",
        ),
        (
            "rtts",
            "rtts_per_second",
            "RTTs",
            "RTTs a second",
            "With a rate limit, there are as many as it lets.",
        ),
    ):
        lines = [
            line(who, found, figure, [str(each["flows"]) for each in found])
            for who in whos
            if (found := [row for row in rows if row["case"].rpartition("_")[0] == who and figure in row])
        ]
        yield Plot(name, title, "flows", y, lines, kind="bars", note=note)
