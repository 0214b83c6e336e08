"""The rate transition: TCP from a fast link into a slow one, with a queue between them and without."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from penstock import units
from penstock.experiments.buffer import FRAME, PAYLOAD, buffer
from penstock.experiments.contenders import case, schedulers
from penstock.experiments.dumbbell import Dumbbell, dumbbell
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.lines import over_runs
from penstock.experiments.result import Plot, Result, row
from penstock.lab import Lab, LabError, iperf
from penstock.lab.iperf import INTERVAL
from penstock.lab.qdisc import shaped

SCHEDULERS: Final = ("fifo", "fq_codel")

SHALLOW: Final = "xdp_shallow"

BULK: Final = 16
"""Frames that XDP collects before it hands them to an interface (DEV_MAP_BULK_SIZE, include/net/xdp.h)."""

QUEUE: Final = 1000
"""Packets that a queue holds: of penstock's and of an interface, by default."""

FASTER: Final = 10
"""times as much the fast link carries."""

_START: Final = 1.0
"""s that TCP has to find the rate: they are in the plot, but in no figure."""

_LATE: Final = 25_000
"""ns that the fast link makes up for: timers are no more exact."""

_SECOND: Final = 1_000_000_000
_MS: Final = 1e3
_MEGA: Final = 1e6

Way = Callable[[Dumbbell], AbstractContextManager[object]]
"""Has the router forward in one way, for a `with` statement."""

Key = str | int
"""The name of a case, or the size of a buffer."""


@dataclass(frozen=True)
class _Sample:
    """One run of a case, or of a size."""

    rates: NDArray[np.float64]
    """Goodput in each interval, Mbit/s."""
    retransmits: int
    rtt: float
    """s."""

    @property
    def goodput(self) -> float:
        """Mbit/s, once TCP has had time to find the rate."""
        return float(self.rates[round(_START / INTERVAL) :].mean())

    def figures(self) -> dict[str, float]:
        """Return what the row of the case has."""
        return {
            "goodput_mbps": self.goodput,
            "retransmitted_packets": self.retransmits,
            "rtt_ms": self.rtt * _MS,
        }


class Transition(Experiment):
    """TCP from a fast link into one a tenth as fast: what a router without a queue leaves of it.

    One flow passes the router: by the kernel's own forwarding and queue, by XDP with a buffer of the 16
    frames it has by itself, and by XDP with penstock's queues. Then that buffer is given other sizes, from
    one packet to twice the bandwidth-delay product.
    """

    duration = Option(units.duration, "2s", "how long goodput is measured in each case, after a second")
    rate = Option(units.rate, "500mbit", "what the slow link carries; the fast one carries ten times as much")
    delay = Option(units.duration, "10ms", "how long packets take over the slow link, each way")
    sizes = Option(units.count, "7", "how many other sizes the buffer is given")
    congestion = Option(str, "cubic", "congestion control of the flow")
    extra = Option(schedulers, "", "other schedulers, names or files, with commas between them")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure all cases and sizes, once in each run."""
        cases, sizes = self._cases(), self._sizes()
        found: dict[Key, list[_Sample]] = defaultdict(list)
        with Lab() as lab:
            net = self._network(lab)
            for number in range(1, self.runs + 1):
                for key, way in (cases | sizes).items():
                    tell(f"run {number}: {key if key in cases else f'a buffer of {key}'}")
                    with way(net):
                        found[key].append(self._measure(lab, net))
        link = self.rate / _MEGA * PAYLOAD
        rows = [row(str(name), [each.figures() for each in found[name]], link_mbps=link) for name in cases]
        by_size = {size: found[size] for size in sizes} | {BULK: found[SHALLOW]}
        plots = [_over_time({name: found[name] for name in cases}, link), _over_sizes(by_size, link)]
        return Result("transition", self.summary(), self.parameters, rows, plots)

    def _network(self, lab: Lab) -> Dumbbell:
        net = dumbbell(lab, "sender", delay=self.delay)
        (leaving,) = net.senders["sender"].interfaces
        lab.enter_context(shaped(leaving, FASTER * self.rate, burst=_LATE))
        return net

    def _cases(self) -> dict[Key, Way]:
        queues: dict[Key, Way] = {
            f"xdp_{case(each)}": lambda net, each=each: net.queue(each, self.rate, slots=QUEUE)
            for each in SCHEDULERS + self.extra
        }
        return {
            "kernel": lambda net: shaped(net.bottleneck, self.rate, limit=QUEUE),
            SHALLOW: lambda net: self._buffer(net, BULK),
            **queues,
        }

    def _sizes(self) -> dict[Key, Way]:
        """By packets: from one to twice as many as are under way when the link is full."""
        product = self.rate * 2 * self.delay / _SECOND / (8 * FRAME)
        sizes = np.geomspace(1, max(2 * product, 1), self.sizes).round().astype(int).tolist()
        return {size: lambda net, size=size: self._buffer(net, size) for size in sizes if size != BULK}

    def _buffer(self, net: Dumbbell, packets: int) -> AbstractContextManager[object]:
        return net.queue("fifo", self.rate, **buffer(packets, self.rate))

    def _measure(self, lab: Lab, net: Dumbbell) -> _Sample:
        seconds = math.ceil(_START + self.duration / _SECOND)
        with iperf(
            net.senders["sender"], net.receiver, seconds=seconds, congestion=self.congestion
        ) as transfer:
            arrived = transfer.wait()
        if lost := lab.wires[0].dropped():
            raise LabError(f"{lost} packets lost on the slow link, not before it: the machine is too busy")
        return _Sample(arrived.rates[0] / _MEGA, arrived.retransmits, arrived.rtt)


def _over_time(found: Mapping[Key, Sequence[_Sample]], link: float) -> Plot:
    count = min(len(each.rates) for samples in found.values() for each in samples)
    times = (INTERVAL * np.arange(1, count + 1)).round(1).tolist()
    return Plot(
        "goodput_over_time",
        "Goodput over time",
        "time (s)",
        "goodput (Mbit/s)",
        [
            over_runs(str(name), times, np.stack([each.rates[:count] for each in samples]))
            for name, samples in found.items()
        ],
        marks={"link": link},
        note=f"{SHALLOW} has room for {BULK} frames where the rate changes, all others for {QUEUE}.",
    )


def _over_sizes(found: Mapping[Key, Sequence[_Sample]], link: float) -> Plot:
    sizes = sorted(int(size) for size in found)
    by_run = np.array([[each.goodput for each in found[size]] for size in sizes]).T
    shallow = by_run[:, [sizes.index(BULK)]]
    return Plot(
        "goodput_over_buffers",
        "Goodput over the size of the buffer",
        "buffer (packets)",
        "goodput (Mbit/s)",
        [over_runs("XDP and a buffer", sizes, by_run), over_runs(SHALLOW, [BULK], shallow)],
        log_x=True,
        marks={"link": link},
        note=f"From one packet to twice the bandwidth-delay product; XDP by itself has {BULK}.",
    )
