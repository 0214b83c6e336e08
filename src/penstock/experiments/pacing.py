"""Pacing: whether packets leave at the rate they should, and how evenly."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock import units
from penstock.experiments.departures import relative_gaps
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.lines import line
from penstock.experiments.metered import Metered, Sent
from penstock.experiments.result import Line, Plot, Result, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DRAINS: Final[Mapping[str, Mapping[str, str]]] = {
    "sleep": {"drain": "sleep", "patience": "500us"},
    "prompt": {"drain": "sleep", "patience": "0us"},
    "poll": {"drain": "poll"},
}
"""How packets leave a FIFO when none arrives: what `penstock queue set` is told."""

CAROUSEL: Final = "carousel"
"""The scheduler that gives each packet its time to leave; its drain sleeps."""

WAYS: Final = (*DRAINS, CAROUSEL)

SWAPPED: Final = ("sleep", "poll")
"""Drains with which one scheduler takes over from another."""

SUCCESSOR: Final = "drr"
"""Takes over from a FIFO."""

_HALF: Final = 2.5
"""s before that, and for it: DRR is compiled, what waits in the FIFO leaves, and then DRR is loaded alone."""

_TELLING: Final = (
    "achieved_mbps",
    "error_percent",
    "worst_100ms_percent",
    "ideal_gap_us",
    "gap_p50_us",
    "gap_p99_us",
    "gap_max_us",
    "burst_max_packets",
    "cpu_percent",
    "steady_longest_us",
    "swap_longest_us",
)

_US: Final = 1e3
_SECOND: Final = 1e9


def rates(text: str) -> dict[str, int]:
    """Return rates of a list with commas, bit/s, by their texts. ValueError if they are none."""
    return {each.strip(): units.rate(each) for each in text.split(",")}


class Pacing(Experiment):
    """The rate of a queue, and how evenly packets leave it, from 1 Mbit/s to what the machine can.

    UDP arrives a fifth faster than the queue's rate, in bursts of 0.2 ms. An XDP program at the end of the
    link notes when each packet comes out.
    """

    duration = Option(units.duration, "1s", "how long packets are sent in each case")
    rates = Option(rates, "1mbit,10mbit,100mbit,1gbit,4gbit", "rates of the queue")
    swap_rate = Option(units.rate, "100mbit", "rate while schedulers are swapped")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure all cases, once in each run."""
        paced: dict[tuple[str, str], list[Sent]] = defaultdict(list)
        swapped: dict[str, list[dict[str, float]]] = defaultdict(list)
        for number in range(1, self.runs + 1):
            with Metered() as metered:
                for case, sent in self._pace(metered, lambda what, run=number: tell(f"run {run}: {what}")):
                    paced[case].append(sent)
                for drain in SWAPPED:
                    tell(f"run {number}: swaps, {drain}")
                    swapped[drain].append(self._swap(metered, drain))
        rows = [self._row(way, rate, sent) for (way, rate), sent in paced.items()]
        swaps = [row(f"swap_{drain}", found) for drain, found in swapped.items()]
        plots = [*_rate_plots(self.rates, rows), *_gap_plots(paced), _swap_plot(swaps)]
        return Result("pacing", self.summary(), self.parameters, rows + swaps, plots, telling=_TELLING)

    def _pace(self, metered: Metered, tell: Callable[[str], None]) -> Iterator[tuple[tuple[str, str], Sent]]:
        """Yield what came out, for each way to send and each rate."""
        seconds = self.duration / _SECOND
        with metered.queue("fifo") as queue:
            for way, options in DRAINS.items():
                for text, rate in self.rates.items():
                    tell(f"{way}, {text}")
                    queue.set(rate=rate, **options)
                    yield (way, text), metered.send(queue, rate, seconds)
        with metered.queue(CAROUSEL, rate="unlimited") as queue:
            for text, rate in self.rates.items():
                tell(f"{CAROUSEL}, {text}")
                queue.set(flow_rate=rate)
                yield (CAROUSEL, text), metered.send(queue, rate, seconds)

    def _swap(self, metered: Metered, drain: str) -> dict[str, float]:
        """Swap schedulers; return the longest gap between packets before that, and in as much time after."""
        begins: list[float] = []
        with metered.queue("fifo", rate=self.swap_rate, drain=drain) as queue:

            def swap() -> None:
                time.sleep(_HALF)
                begins.append(time.monotonic() * _SECOND)
                queue.swap(SUCCESSOR)

            departures = metered.send(queue, self.swap_rate, 2 * _HALF, swap).departures
        gaps, swapping = np.diff(departures.times) / _US, departures.times[1:] >= begins[0]
        return {
            "steady_longest_us": float(gaps[~swapping].max()),
            "swap_longest_us": float(gaps[swapping].max()),
        }

    def _row(self, way: str, rate: str, sent: Sequence[Sent]) -> dict[str, Any]:
        own = {"rate_mbps": self.rates[rate] / 1e6, "ideal_gap_us": sent[0].departures.ideal / _US}
        return row(f"{way}_{rate}", [each.figures() for each in sent], **own)


def _rate_plots(rates: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> Iterator[Plot]:
    x = [rate / 1e6 for rate in rates.values()]
    by_way = {way: [each for each in rows if each["case"].startswith(f"{way}_")] for way in WAYS}
    for figure, title, note in (
        ("error_percent", "Rate: how far off, on average", "At 0 the rate is exact."),
        (
            "worst_100ms_percent",
            "Rate: the worst 100 ms",
            "The largest deviation of any row of packets that should take 100 ms.",
        ),
    ):
        lines = [line(way, found, figure, x) for way, found in by_way.items()]
        name = figure.removesuffix("_percent")
        yield Plot(name, title, "rate (Mbit/s)", "achieved less wanted (%)", lines, log_x=True, note=note)


def _gap_plots(paced: Mapping[tuple[str, str], Sequence[Sent]]) -> Iterator[Plot]:
    for rate in dict.fromkeys(text for _, text in paced):
        yield Plot(
            f"gaps_{rate}",
            f"Between packets, at {rate}",
            "gap, in ideal gaps",
            "share of gaps",
            [
                Line(way, relative_gaps([each.departures for each in sent]))
                for (way, text), sent in paced.items()
                if text == rate
            ],
            kind="cdf",
            log_x=True,
            note="A step at 1 is perfect pacing. What is far to the left are packets back to back.",
        )


def _swap_plot(rows: Sequence[Mapping[str, Any]]) -> Plot:
    drains = [each["case"].removeprefix("swap_") for each in rows]
    parts = {"before": "steady_longest_us", "during a swap": "swap_longest_us"}
    return Plot(
        "swap",
        "The longest gap while one scheduler takes over from another",
        "drain",
        "longest gap (µs)",
        [line(label, rows, figure, drains) for label, figure in parts.items()],
        kind="bars",
        note="If a swap stops nothing, both bars of a drain are about as long.",
    )
