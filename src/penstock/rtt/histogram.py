"""Log-linear histograms of RTTs: each doubling in equal parts, so that the error is relative, at any RTT.

The buckets are those of `penstock.rtt.records`, as HdrHistogram has them: `SUB_BUCKETS` to a doubling. A
percentile is as NumPy's default: between the two values that it falls between, linearly. It is off by at most
1/32 from 1088 ns to 68 s, and by 1/23 in the first bucket, from 1 µs on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.rtt.records import BUCKETS, FIRST_OCTAVE, OCTAVES, SUB_BUCKETS

Counts = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

_octaves = np.arange(OCTAVES).repeat(SUB_BUCKETS) + FIRST_OCTAVE
_parts = np.tile(np.arange(SUB_BUCKETS), OCTAVES)

LOWER: npt.NDArray[np.int64] = (SUB_BUCKETS + _parts) << (_octaves - SUB_BUCKETS.bit_length() + 1)
"""Lower bound of each bucket, ns. The first bucket also holds what is below it, the last what is above."""

MIDDLE: Floats = LOWER + (1 << (_octaves - SUB_BUCKETS.bit_length() + 1)) / 2
"""The value taken for all in a bucket, ns: its middle."""

# The first bucket begins at 1 µs for all practical purposes: the harmonic mean is off least at both ends.
MIDDLE[0] = 2 / (1 / 1000 + 1 / LOWER[1])


def bucket_of(rtt: npt.ArrayLike) -> Counts:
    """Return the bucket of each RTT, ns, as the kernel programs choose it."""
    found = np.searchsorted(LOWER, np.asarray(rtt), side="right") - 1
    return np.clip(found, 0, BUCKETS - 1)


def percentiles(histograms: Counts, shares: npt.ArrayLike) -> Floats:
    """Return percentiles of many histograms, ns.

    `histograms` has shape (n, BUCKETS), none of them empty; `shares` are from 0 to 1. Shape (n, len(shares)).
    """
    cumulated = histograms.cumsum(axis=1, dtype=np.int64)
    ranks = np.multiply.outer(cumulated[:, -1] - 1, np.asarray(shares))
    below = np.floor(ranks)
    low, high = _value_at(cumulated, below), _value_at(cumulated, np.ceil(ranks))
    return low + (high - low) * (ranks - below)


def _value_at(cumulated: Counts, ranks: Floats) -> Floats:
    """Return the value of those ranks, counted from 0, in each row."""
    buckets = np.empty(ranks.shape, np.intp)
    for row, (counts, wanted) in enumerate(zip(cumulated, ranks, strict=True)):
        buckets[row] = np.searchsorted(counts, wanted, side="right")
    return MIDDLE[buckets]
