"""The machine-friendly lines of Nichols' pping, which ppviz draws: RTTs only, times in seconds."""

from __future__ import annotations

import numpy as np

from penstock.rtt.formats.base import Format
from penstock.rtt.naming import Events, Flow
from penstock.rtt.records import EventKind


class PpViz(Format):
    """`1732387201.000000123 0.025300000 0.024900000 10.0.0.1:443+10.0.0.2:51234`; no flow events."""

    def flow(self, flow: Flow) -> str:
        """Return the endpoints."""
        return flow.pair

    def events(self, events: Events) -> str:
        """Return a line for each RTT."""
        events = events[events["kind"] == EventKind.RTT]
        columns = zip(
            *_seconds(events["timestamp"] + np.uint64(self._clock.offset())),
            *_seconds(events["rtt"]),
            *_seconds(events["min_rtt"]),
            self._flows.of(events),
            strict=True,
        )
        lines = [
            f"{s}.{ns:09d} {rtt_s}.{rtt_ns:09d} {min_s}.{min_ns:09d} {flow}\n"
            for s, ns, rtt_s, rtt_ns, min_s, min_ns, flow in columns
        ]
        return "".join(lines)


def _seconds(times: Events) -> tuple[list[int], list[int]]:
    """Return whole seconds and the ns beyond them: a double could not hold them all."""
    seconds, rest = np.divmod(times, 1_000_000_000)
    return seconds.tolist(), rest.tolist()
