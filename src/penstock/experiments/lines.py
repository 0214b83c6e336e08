"""Lines of plots with the spread of several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from penstock.experiments.result import SPREAD, Line

T = TypeVar("T")


def line(
    label: str, rows: Sequence[Mapping[str, Any]], figure: str, x: Sequence[float] | Sequence[str]
) -> Line:
    """Return a figure of each row of a result, at one x each."""
    spreads = [row[figure + SPREAD] for row in rows if figure + SPREAD in row]
    low, high = zip(*spreads, strict=True) if spreads else ((), ())
    return Line(label, [row[figure] for row in rows], x, low, high)


def bars(label: str, found: Mapping[str, Sequence[T]], figure: Callable[[T], float]) -> Line:
    """Return a figure of the samples that each name has, one of each run."""
    runs = np.array([[figure(each) for each in samples] for samples in found.values()]).T
    return over_runs(label, [*found], runs)


def over_runs(label: str, x: Sequence[float] | Sequence[str], runs: NDArray[np.float64]) -> Line:
    """Return the median over runs of the values at each x; `runs` has a row of them for each run."""
    middle, low, high = (np.quantile(runs, share, axis=0).round(4).tolist() for share in (0.5, 0, 1))
    return Line(label, middle, x, *((low, high) if len(runs) > 1 else ()))
