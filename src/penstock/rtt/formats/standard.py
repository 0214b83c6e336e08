"""Lines for people, as ePPing prints them: time of day, RTT, minimum so far, protocol, flow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from penstock.rtt.aggregates import Report, Rtts, Traffic
from penstock.rtt.formats.base import Aggregation, Format, in_order
from penstock.rtt.naming import Events, Flow, name_changes


class Standard(Format):
    """`12:00:01.000000123 25.3 ms 24.9 ms TCP 10.0.0.1:443+10.0.0.2:51234`."""

    def flow(self, flow: Flow) -> str:
        """Return protocol and endpoints."""
        return f"{flow.protocol} {flow.pair}"

    def begin(self, aggregation: Aggregation | None = None) -> str:
        """Begin with a line that says how reports are made, if there will be any."""
        if aggregation is None:
            return ""
        buckets, seconds = aggregation.buckets, aggregation.seconds
        return f"Aggregating RTTs in histograms with {buckets} log-linear bins every {seconds:.9g} seconds\n"

    def events(self, events: Events) -> str:
        """Return a line for each event."""
        return "".join(in_order(events, self._rtts, self._changes))

    def reports(self, timestamp: int, reports: Sequence[Report]) -> str:
        """Return a line for each prefix."""
        (at,) = self._times(np.array([timestamp], np.uint64))
        return "".join(f"{at}: {', '.join(_report(report))}\n" for report in reports)

    def _rtts(self, events: Events) -> list[str]:
        columns = zip(
            self._times(events["timestamp"]),
            (events["rtt"] / 1e6).tolist(),
            (events["min_rtt"] / 1e6).tolist(),
            self._flows.of(events),
            strict=True,
        )
        return [f"{at} {rtt:.6g} ms {least:.6g} ms {flow}\n" for at, rtt, least, flow in columns]

    def _changes(self, events: Events) -> list[str]:
        columns = zip(
            self._times(events["timestamp"]),
            self._flows.of(events),
            name_changes(events),
            strict=True,
        )
        return [f"{at} {flow} {change} due to {why} from {who}\n" for at, flow, (change, why, who) in columns]

    def _times(self, timestamps: Events) -> list[str]:
        """Return local times of day, down to the nanosecond."""
        seconds, rest = np.divmod(timestamps + np.uint64(self._clock.offset()), 1_000_000_000)
        distinct, place = np.unique(seconds, return_inverse=True)
        texts = [time.strftime("%H:%M:%S", time.localtime(second)) for second in distinct.tolist()]
        return [f"{texts[i]}.{ns:09d}" for i, ns in zip(place.tolist(), rest.tolist(), strict=True)]


def _report(report: Report) -> Iterator[str]:
    """Yield the parts of a line. As in ePPing, rx is what came from the prefix, tx what went to it."""
    received, sent = report.sent, report.received
    yield f"{report.prefix} -> rxpkts={received.packets}"
    yield f"rxbytes={received.bytes}, txpkts={sent.packets}, txbytes={sent.bytes}"
    yield from _rtt_parts(report.rtts)
    yield from (_traffic(word, traffic) for word, traffic in report.protocols.items() if traffic.packets)
    marks = zip(("Not-ECT", "ECT1", "ECT0", "CE"), report.ecn, strict=True)
    yield f"ECN=({', '.join(f'{word}={count}' for word, count in marks if count)})"


def _rtt_parts(rtts: Rtts | None) -> Iterator[str]:
    if rtts is None:
        return
    yield f"rtt-count={rtts.count}"
    for name, value in (
        ("min", rtts.minimum),
        ("mean", rtts.mean),
        ("median", rtts.median),
        ("p95", rtts.p95),
        ("p99", rtts.p99),
        ("max", rtts.maximum),
    ):
        yield f"{name}={value / 1e6:.6g} ms"


def _traffic(word: str, traffic: Traffic) -> str:
    return f"{word}=(pkts={traffic.packets}, bytes={traffic.bytes})"
