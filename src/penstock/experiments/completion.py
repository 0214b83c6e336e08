"""Flows of all sizes beside one that never ends, and how long they take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab import iperf, send_flows

if TYPE_CHECKING:
    from penstock.experiments.dumbbell import Dumbbell

SHORT: Final = 100_000
"""Bytes; flows of fewer are short."""

_BEFORE: Final = 0.5
"""s that the long flow has to fill the queue before others come."""

_AFTER: Final = 1.0
"""s that it goes on when the last of them has begun."""

_MOST: Final = 63
"""The DSCP of the long flow: it always has more to send than others."""

_STEP: Final = 2.0
"""How much longer flows are from one class of sizes to the next."""

_MS: Final = 1e3
_MEGA: Final = 1e6


@dataclass(frozen=True)
class Completion:
    """What became of a plan."""

    flows: NDArray[Any]
    """An array of `COMPLETED`."""
    goodput: float
    """Of the long flow, bit/s."""

    def times(self) -> NDArray[np.float64]:
        """Return how long each flow took, ms."""
        return self.flows["seconds"] * _MS

    def short(self) -> NDArray[np.float64]:
        """Return how long short flows took, ms."""
        return self.times()[self.flows["bytes"] < SHORT]

    def figures(self) -> dict[str, float]:
        """Return what the row of a case has."""
        large = self.times()[self.flows["bytes"] >= SHORT]
        return {
            "short_p50_ms": float(np.median(self.short())),
            "short_p99_ms": float(np.percentile(self.short(), 99)),
            "large_p50_ms": float(np.median(large)),
            "mean_ms": float(self.times().mean()),
            "long_goodput_mbps": self.goodput / _MEGA,
        }


def complete(net: Dumbbell, plan: NDArray[Any], congestion: str) -> Completion:
    """Send flows as planned, from `short`, while one from `long` takes what they leave.

    Packets are marked with what their flow has still to send.
    """
    seconds = math.ceil(_BEFORE + plan["start"].max() + _AFTER)
    with iperf(net.senders["long"], net.receiver, seconds=seconds, dscp=_MOST, congestion=congestion) as long:
        time.sleep(_BEFORE)
        with send_flows(net.senders["short"], net.receiver, plan, marked=True, congestion=congestion) as sent:
            flows = sent.wait()
        return Completion(flows, long.wait().goodput)


def by_size(flows: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Return sizes, kB, and the median time, ms, of flows about as long."""
    classes = np.floor(np.emath.logn(_STEP, flows["bytes"] / flows["bytes"].min())).astype(int)
    members = [flows[classes == each] for each in np.unique(classes)]
    sizes = [float(np.exp(np.log(each["bytes"]).mean()) / 1e3) for each in members]
    return sizes, [float(np.median(each["seconds"]) * _MS) for each in members]
