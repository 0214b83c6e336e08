"""How evenly packets leave, and whether at the rate that they should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

_WINDOW: Final = 100_000_000
"""ns in which the rate should be right, too."""

_TOGETHER: Final = 0.5
"""Of the ideal gap: packets that are closer are of one burst."""

_QUANTILES: Final = np.linspace(0, 1, 1001)

_NS: Final = 1e9
_US: Final = 1e3


@dataclass(frozen=True)
class Departures:
    """When packets of one size left, ns in order, and the rate that they should have, bit/s of frames."""

    times: NDArray[np.int64]
    length: int
    rate: int

    @property
    def ideal(self) -> float:
        """The gap between two packets at the rate, ns."""
        return self.length * 8 * _NS / self.rate

    def figures(self) -> dict[str, float]:
        """Return the rate, on average and at worst, and what is between packets.

        `worst_100ms_percent` is the largest deviation of any row of packets that should take 100 ms.
        """
        gaps = np.diff(self.times)
        middle, high, longest = map(float, np.percentile(gaps, [50, 99, 100]) / _US)
        bursts = self._bursts(gaps)
        achieved = len(gaps) * self.length * 8 * _NS / (self.times[-1] - self.times[0])
        return {
            "achieved_mbps": float(achieved) / 1e6,
            "error_percent": float(achieved / self.rate - 1) * 100,
            "worst_100ms_percent": self._worst() * 100,
            "gap_p50_us": middle,
            "gap_p99_us": high,
            "gap_max_us": longest,
            "burst_mean_packets": float(bursts.mean()),
            "burst_max_packets": int(bursts.max()),
        }

    def _worst(self) -> float:
        count = min(max(round(_WINDOW / self.ideal), 1), len(self.times) - 1)
        errors = count * self.ideal / (self.times[count:] - self.times[:-count]) - 1
        return float(errors[np.argmax(np.abs(errors))])

    def _bursts(self, gaps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many packets each burst has; a packet alone is one."""
        ends = np.flatnonzero(gaps >= _TOGETHER * self.ideal)
        return np.diff(np.concatenate([[-1], ends, [len(gaps)]]))


def relative_gaps(departures: Sequence[Departures]) -> list[float]:
    """Return 1001 quantiles of all gaps, the least and the greatest included; 1 is ideal."""
    gaps: list[NDArray[Any]] = [np.diff(each.times) / each.ideal for each in departures]
    return [float(gap) for gap in np.quantile(np.concatenate(gaps), _QUANTILES)]
