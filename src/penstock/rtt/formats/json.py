"""JSON objects with ePPing's fields: all in one array, or each on a line of its own (JSON Lines)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from penstock.rtt.aggregates import Report, Traffic
from penstock.rtt.formats.base import Aggregation, Format, in_order
from penstock.rtt.naming import Events, Flow, name_changes, name_interface

_BOOL = ("false", "true")


class JsonLines(Format):
    """One object a line. With several interfaces, events have a field more than ePPing's: `interface`."""

    def flow(self, flow: Flow) -> str:
        """Return the five fields of its name."""
        source = f'"src_ip":"{flow.source}","src_port":{flow.source_port}'
        destination = f'"dest_ip":"{flow.destination}","dest_port":{flow.destination_port}'
        return f'{source},{destination},"protocol":"{flow.protocol}"'

    def begin(self, aggregation: Aggregation | None = None) -> str:
        """Begin with an object that says how reports are made, if there will be any."""
        return "" if aggregation is None else self._join([_aggregation(aggregation)])

    def events(self, events: Events) -> str:
        """Return an object for each event."""
        return self._join(in_order(events, self._rtts, self._changes))

    def reports(self, timestamp: int, reports: Sequence[Report]) -> str:
        """Return an object for each prefix."""
        at = timestamp + self._clock.offset()
        return self._join([_compact(_report(at, report)) for report in reports])

    def _join(self, objects: list[str]) -> str:
        return "".join([f"{text}\n" for text in objects])

    def _rtts(self, events: Events) -> list[str]:
        columns = zip(
            self._times(events),
            self._flows.of(events),
            *(events[name].tolist() for name in ("rtt", "min_rtt", "sent_packets", "sent_bytes")),
            *(events[name].tolist() for name in ("received_packets", "received_bytes", "on_egress")),
            self._where(events),
            strict=True,
        )
        return [
            f'{{"timestamp":{at},{flow},"rtt":{rtt},"min_rtt":{least},"sent_packets":{sent},'
            f'"sent_bytes":{sent_bytes},"rec_packets":{received},"rec_bytes":{received_bytes},"match_on_egress":{_BOOL[on_egress]}{where}}}'
            for at, flow, rtt, least, sent, sent_bytes, received, received_bytes, on_egress, where in columns
        ]

    def _changes(self, events: Events) -> list[str]:
        columns = zip(
            self._times(events),
            self._flows.of(events),
            name_changes(events),
            self._where(events),
            strict=True,
        )
        return [
            f'{{"timestamp":{at},{flow},"flow_event":"{change}","reason":"{why}","triggered_by":"{who}"{where}}}'
            for at, flow, (change, why, who), where in columns
        ]

    def _where(self, events: Events) -> list[str]:
        """Return the end of each object."""
        if not self._several:
            return [""] * len(events)
        return [_interface(index) for index in events["ifindex"].tolist()]

    def _times(self, events: Events) -> list[int]:
        return (events["timestamp"] + np.uint64(self._clock.offset())).tolist()


class Json(JsonLines):
    """One array of all objects, an object a line; whole when the run has ended."""

    continues = False
    _separator = ""

    def begin(self, aggregation: Aggregation | None = None) -> str:
        """Begin the array."""
        self._separator = "["
        return super().begin(aggregation)

    def end(self) -> str:
        """End the array."""
        return "[]\n" if self._separator == "[" else "\n]\n"

    def _join(self, objects: list[str]) -> str:
        if not objects:
            return ""
        first, self._separator = self._separator, ",\n"
        return first + ",\n".join(objects)


@cache
def _interface(index: int) -> str:
    return f',"interface":{json.dumps(name_interface(index))}'


def _aggregation(aggregation: Aggregation) -> str:
    return _compact(
        {
            "timestamp": time.time_ns(),
            "bins": aggregation.buckets,
            "aggregation_interval_ns": round(aggregation.seconds * 1e9),
            "ipv4_prefix_len": aggregation.prefix_v4,
            "ipv6_prefix_len": aggregation.prefix_v6,
        }
    )


def _report(timestamp: int, report: Report) -> dict[str, Any]:
    """As in ePPing, rx is what came from the prefix, tx what went to it; the histogram has its own bounds."""
    fields: dict[str, Any] = {
        "timestamp": timestamp,
        "ip_prefix": report.prefix,
        "rx_stats": _traffic(report.sent),
        "tx_stats": _traffic(report.received),
        "protocol_counters": {word: _traffic(t) for word, t in report.protocols.items() if t.packets},
        "ecn_counters": dict(zip(("no_ECT", "ECT1", "ECT0", "CE"), report.ecn, strict=True)),
    }
    if report.rtts is None:
        return fields
    return fields | {
        "count_rtt": report.rtts.count,
        "min_rtt": report.rtts.minimum,
        "mean_rtt": round(report.rtts.mean, 1),
        "median_rtt": round(report.rtts.median, 1),
        "p95_rtt": round(report.rtts.p95, 1),
        "p99_rtt": round(report.rtts.p99, 1),
        "max_rtt": report.rtts.maximum,
        "histogram": report.rtts.histogram,
    }


def _traffic(traffic: Traffic) -> dict[str, int]:
    return {"packets": traffic.packets, "bytes": traffic.bytes}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
