"""Results that nobody measured, with one of everything that a report draws."""

from __future__ import annotations

import random

from penstock.experiments import Line, Plot, Result
from penstock.experiments.result import row

TIMES = [index / 10 for index in range(50)]
NAMES = ("fifo", "codel", "strict_priority")

ROWS = [
    row("fifo", [{"goodput_mbps": rate, "rtt_p99_ms": 80.0} for rate in (91.2, 93.4, 94.0)], link_mbps=100),
    row("fq_codel", [{"goodput_mbps": 92.0, "drops": 1234}, {"goodput_mbps": 92.5, "drops": 1240}]),
    {"case": "a <b> & 'c'", "goodput_mbps": 0.01234, "agrees": True},
]


def spread(label: str, y: list[float], x: list[float] | list[str]) -> Line:
    return Line(label, y, x, [value * 0.9 for value in y], [value * 1.2 for value in y])


def made(experiment: str = "made") -> Result:
    chance = random.Random(1)
    samples = [[chance.lognormvariate(mean, 0.5) for _ in range(5000)] for mean in (0, 1, 3)]
    flat = [90.0] * len(TIMES)
    sizes = [float(2**index) for index in range(7)]
    plots = [
        Plot(
            "goodput",
            "Goodput & <time>",
            "time (s)",
            "goodput (Mbit/s)",
            [spread("fifo", flat, TIMES), spread("codel", [value / 9 for value in flat], TIMES)],
            note="A queue fills the link: $5 > $4.",
            marks={"link": 95.7},
        ),
        Plot("shares", "Shares", "time (s)", "share", [spread("fifo", flat, TIMES)], kind="step"),
        Plot("sizes", "Sizes", "packets", "Mbit/s", [spread("fifo", sizes, sizes)], log_x=True, log_y=True),
        Plot(
            "latency",
            "Latency",
            "scheduler",
            "RTT (ms)",
            [spread(f"{flows} flows", [80.0, 9.0, 1.0], list(NAMES)) for flows in (1, 10)],
            kind="bars",
            log_y=True,
            marks={"idle": 0.9},
        ),
        Plot(
            "rtts",
            "RTTs",
            "RTT (ms)",
            "share of RTTs",
            [Line(name, values) for name, values in zip(NAMES, samples, strict=True)],
            kind="cdf",
            log_x=True,
        ),
        Plot(
            "pairs",
            "Pairs",
            "RTT here (ms)",
            "RTT there (ms)",
            [Line("fifo", samples[0], samples[0]), spread("codel", [1.0, 2.0], [1.0, 2.0])],
            kind="points",
        ),
    ]
    parameters = {"duration": "5s", "runs": "3", "seed": "1", "own_rate": "10 mbit"}
    return Result(experiment, "What <nobody> measured.", parameters, ROWS, plots)
