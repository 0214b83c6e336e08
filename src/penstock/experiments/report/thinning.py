"""Fewer points than were measured, which look the same: a picture has so many pixels and no more."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 2000
"""Points that are drawn as they are."""

COLUMNS: Final = 500
"""Of pixels, in a picture's width."""

ROWS: Final = 250

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]


def extremes(x: Numbers, *heights: Numbers) -> Indices:
    """Return which points to keep of lines over the same x: the lowest and the highest in each column."""
    if len(x) <= MOST:
        return np.arange(len(x))
    column = _cells(x, COLUMNS)
    kept: list[Any] = []
    for y in heights:
        order = np.lexsort((y, column))
        last = np.flatnonzero(np.diff(column[order], append=COLUMNS))
        first = np.concatenate([[0], last[:-1] + 1])
        kept += [order[first], order[last]]
    return np.unique(np.concatenate(kept))


def distinct(x: Numbers, y: Numbers) -> Indices:
    """Return which points to keep of those that are scattered: one in each place."""
    if len(x) <= MOST:
        return np.arange(len(x))
    return np.unique(_cells(x, COLUMNS) * ROWS + _cells(y, ROWS), return_index=True)[1]


def _cells(values: Numbers, count: int) -> Indices:
    """Return in which of so many equal parts of their range each value is."""
    low, high = values.min(), values.max()
    return np.minimum((values - low) / (high - low or 1) * count, count - 1).astype(np.intp)
