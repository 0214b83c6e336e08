"""Fairness: who gets how much of a link, and who is done when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from penstock import units
from penstock.experiments.completion import SHORT, Completion, by_size, complete
from penstock.experiments.contenders import case, schedulers
from penstock.experiments.dumbbell import dumbbell
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.lines import bars, over_runs
from penstock.experiments.result import Line, Plot, Result, row
from penstock.experiments.shares import Group, Shares, share
from penstock.lab import Lab, heavy_tailed
from penstock.lab.iperf import INTERVAL

EQUAL: Final = ("fifo", "fq_codel", "stfq")
"""Schedulers that equal flows share a link under."""

COMPLETION: Final = ("fifo", "stfq", "las", "srpt")
"""Schedulers under which flows of all sizes arrive."""

WEIGHTS: Final = {"cs1": 1, "cs2": 2, "cs3": 4}
"""Of three flows, by the class selector of their DSCP."""

CLASSES: Final = {"cs1": 1, "cs2": 4}
"""How many flows two classes of equal weight have."""

FLOWS: Final = 8
"""That are equal."""

LOAD: Final = 0.7
"""What flows that come and go take of the link."""

_SECOND: Final = 1e9


@dataclass(frozen=True)
class _Sharing:
    """A scheduler, and groups of flows that share a link under it."""

    scheduler: str
    groups: Mapping[str, Group]
    options: Mapping[str, int] = field(default_factory=dict[str, int])


class Fairness(Experiment):
    """Shares and completion times: who gets how much of a link, and who is done when, by scheduler.

    Bulk flows share a link by weight (STFQ), by class and within classes (HPFQ beside STFQ), and as equals.
    Then flows of all sizes arrive at random beside one that never ends, and the time that each takes is
    measured: first in, first out, with fair queueing, and with the shortest first (LAS, SRPT).
    """

    duration = Option(units.duration, "2s", "how long shares are measured, and for how long flows arrive")
    rate = Option(units.rate, "100mbit", "what the link carries")
    delay = Option(units.duration, "5ms", "how long packets take over the link, each way")
    slots = Option(units.count, "300", "how many packets may wait while shares are measured")
    completion_slots = Option(units.count, "1000", "the same while completion times are")
    congestion = Option(str, "cubic", "congestion control of all flows")
    extra = Option(schedulers, "", "other schedulers, names or files, with commas between them")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure all cases, once in each run."""
        shares: dict[str, list[Shares]] = defaultdict(list)
        times: dict[str, list[Completion]] = defaultdict(list)
        with Lab() as lab:
            net = dumbbell(lab, "long", "short", delay=self.delay)
            seconds = self.duration / _SECOND
            for number in range(self.runs):
                for name, sharing in self._sharings().items():
                    tell(f"run {number + 1}: {name}")
                    with net.queue(sharing.scheduler, self.rate, slots=self.slots, **sharing.options):
                        ends = net.senders["long"], net.receiver
                        shares[name].append(share(*ends, sharing.groups, seconds, self.congestion))
                plan = heavy_tailed(self.seed + number, LOAD * self.rate, seconds)
                for name, scheduler in self._named("completion", COMPLETION).items():
                    tell(f"run {number + 1}: {name}")
                    with net.queue(scheduler, self.rate, slots=self.completion_slots):
                        times[name].append(complete(net, plan, self.congestion))
        rows = [
            row(name, [each.figures() for each in samples], scheduler=_scheduler(name))
            for name, samples in (shares | times).items()
        ]
        return Result("fairness", self.summary(), self.parameters, rows, _plots(shares, times))

    def _sharings(self) -> dict[str, _Sharing]:
        equal = {"flows": Group(1, flows=FLOWS)}
        weights = {
            name: Group(weight / sum(WEIGHTS.values()), _dscp(name)) for name, weight in WEIGHTS.items()
        }
        classes = {name: Group(1 / len(CLASSES), _dscp(name), flows) for name, flows in CLASSES.items()}
        return {
            "weights_stfq": _Sharing("stfq", weights, WEIGHTS),
            **{f"hierarchy_{each}": _Sharing(each, classes) for each in ("hpfq", "stfq")},
            **{name: _Sharing(each, equal) for name, each in self._named("equal", EQUAL).items()},
        }

    def _named(self, part: str, own: tuple[str, ...]) -> dict[str, str]:
        """Return schedulers by the names of their cases, those of `extra` at the end."""
        return {f"{part}_{case(each)}": each for each in own + self.extra}


def _dscp(selector: str) -> int:
    return int(selector.removeprefix("cs")) << 3


def _scheduler(name: str) -> str:
    return name.partition("_")[2]


def _plots(
    shares: Mapping[str, Sequence[Shares]], times: Mapping[str, Sequence[Completion]]
) -> Sequence[Plot]:
    equal = {_scheduler(name): samples for name, samples in shares.items() if name.startswith("equal")}
    classes = {_scheduler(name): samples for name, samples in shares.items() if name.startswith("hierarchy")}
    by_scheduler = {_scheduler(name): samples for name, samples in times.items()}
    return [
        _weights(shares["weights_stfq"]),
        _hierarchy(classes),
        _equal(equal),
        _short(by_scheduler),
        _sizes(by_scheduler),
        _completion(by_scheduler),
    ]


def _weights(samples: Sequence[Shares]) -> Plot:
    count = min(rates.shape[1] for each in samples for rates in each.rates.values())
    times = [round(INTERVAL * number, 1) for number in range(1, count + 1)]
    total = float(np.median([each.total() for each in samples]))
    return Plot(
        "weights",
        "Three flows, by weight",
        "time (s)",
        "goodput (Mbit/s)",
        [
            over_runs(f"weight {weight}", times, np.stack([each.rates[name][0, :count] for each in samples]))
            for name, weight in WEIGHTS.items()
        ],
        marks={f"due to {WEIGHTS[name]}": total * group.due for name, group in samples[0].groups.items()},
        note="STFQ, from when all of them send. A dip and a peak after it are a lost packet: those behind it "
        "wait for it at the receiver.",
    )


def _hierarchy(found: Mapping[str, Sequence[Shares]]) -> Plot:
    return Plot(
        "hierarchy",
        "Two classes of equal weight",
        "scheduler",
        "share of the link (%)",
        [
            bars(
                f"{flows} flow{'s' if flows > 1 else ''}", found, lambda each, name=name: each.percent()[name]
            )
            for name, flows in CLASSES.items()
        ],
        "bars",
        marks={"half": 50},
        note="HPFQ shares among classes first. To STFQ all flows are the same, so more flows get more.",
    )


def _equal(found: Mapping[str, Sequence[Shares]]) -> Plot:
    return Plot(
        "equal",
        f"{FLOWS} equal flows",
        "scheduler",
        "goodput (Mbit/s)",
        [
            bars("the slowest", found, lambda each: float(each.goodputs()["flows"].min())),
            bars("the fastest", found, lambda each: float(each.goodputs()["flows"].max())),
        ],
        "bars",
        note="Without fair queueing it is left to TCP, and to chance.",
    )


def _short(found: Mapping[str, Sequence[Completion]]) -> Plot:
    return Plot(
        "short_completion",
        f"Flows of less than {SHORT // 1000} kB",
        "completion time (ms)",
        "share of flows",
        [
            Line(scheduler, np.concatenate([each.short() for each in samples]).round(3).tolist())
            for scheduler, samples in found.items()
        ],
        "cdf",
        log_x=True,
        note="The further to the left, the sooner they are done, beside a flow that never ends.",
    )


def _sizes(found: Mapping[str, Sequence[Completion]]) -> Plot:
    pooled = {
        scheduler: by_size(np.concatenate([each.flows for each in samples]))
        for scheduler, samples in found.items()
    }
    return Plot(
        "completion_by_size",
        "Completion time by size",
        "size (kB)",
        "median completion time (ms)",
        [Line(scheduler, times, sizes) for scheduler, (sizes, times) in pooled.items()],
        log_x=True,
        log_y=True,
        note="What short flows gain, and whether others lose it.",
    )


def _completion(found: Mapping[str, Sequence[Completion]]) -> Plot:
    figures = {"short_p50_ms": "short, median", "short_p99_ms": "short, 99 %", "mean_ms": "all, mean"}
    return Plot(
        "completion",
        "Completion times",
        "scheduler",
        "completion time (ms)",
        [bars(what, found, lambda each, name=name: each.figures()[name]) for name, what in figures.items()],
        "bars",
        note="The same flows, at the same times, for each scheduler.",
    )
