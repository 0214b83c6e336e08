"""What every output format does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from penstock.rtt.aggregates import Report
from penstock.rtt.clock import WallClock
from penstock.rtt.naming import Events, Flow, FlowTexts
from penstock.rtt.records import EventKind


class Aggregation(NamedTuple):
    """How reports are made: the interval in seconds, prefix lengths in bits, buckets of a histogram."""

    seconds: float
    prefix_v4: int
    prefix_v6: int
    buckets: int


class Format(ABC):
    """Turns events and reports, in bulk, into text. Times are monotonic; those printed are wall time.

    `several`: events come from more than one interface.
    """

    continues = True
    """Whether a file that ended can be continued later."""

    def __init__(self, *, several: bool = False) -> None:
        self._several = several
        self._clock = WallClock()
        self._flows = FlowTexts(self.flow)

    def begin(self, aggregation: Aggregation | None = None) -> str:
        """Return what a file begins with."""
        del aggregation
        return ""

    @abstractmethod
    def flow(self, flow: Flow) -> str:
        """Return what an event says of its flow."""

    @abstractmethod
    def events(self, events: Events) -> str:
        """Return the text of `events`, in their order."""

    def reports(self, timestamp: int, reports: Sequence[Report]) -> str:
        """Return the text of an interval's reports; `timestamp` is its end. TypeError if there is none."""
        raise TypeError(
            f"{type(self).__name__} has no aggregated output: {len(reports)} reports at {timestamp}"
        )

    def end(self) -> str:
        """Return what a file ends with."""
        return ""


def in_order(
    events: Events, rtts: Callable[[Events], list[str]], changes: Callable[[Events], list[str]]
) -> list[str]:
    """Return the texts of `events`, those of RTTs by `rtts` and those of flow events by `changes`."""
    is_rtt = events["kind"] == EventKind.RTT
    if is_rtt.all():
        return rtts(events)
    texts = np.empty(len(events), object)
    texts[is_rtt] = rtts(events[is_rtt])
    texts[~is_rtt] = changes(events[~is_rtt])
    return texts.tolist()
