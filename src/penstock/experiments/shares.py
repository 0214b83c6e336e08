"""Bulk flows that share a link: what each gets of it, and what is due to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab import iperf
from penstock.lab.iperf import INTERVAL

if TYPE_CHECKING:
    from penstock.lab import Arrived, Host

SETTLING: Final = 1.0
"""s that TCP has to find its rates: they are in no figure."""

_MEGA: Final = 1e6


@dataclass(frozen=True)
class Group:
    """Flows of one DSCP, and the share of the link that is due to all of them together."""

    due: float
    dscp: int = 0
    flows: int = 1


@dataclass(frozen=True)
class Shares:
    """What flows got while all of them sent."""

    groups: Mapping[str, Group]
    rates: Mapping[str, NDArray[np.float64]]
    """Of each group, Mbit/s: a row for each flow, a column for each 0.1 s."""

    def goodputs(self) -> dict[str, NDArray[np.float64]]:
        """Return the goodput of each flow, in Mbit/s, once TCP has settled."""
        first = round(SETTLING / INTERVAL)
        return {name: rates[:, first:].mean(axis=1) for name, rates in self.rates.items()}

    def total(self) -> float:
        """Return the goodput of all flows together."""
        return sum(float(flows.sum()) for flows in self.goodputs().values())

    def percent(self) -> dict[str, float]:
        """Return the share of each group."""
        total = self.total()
        return {name: 100 * float(flows.sum()) / total for name, flows in self.goodputs().items()}

    def figures(self) -> dict[str, float]:
        """Return what the row of a case has: how far flows are from what is due to each."""
        total = self.total()
        due = {name: total * group.due / group.flows for name, group in self.groups.items()}
        got = np.concatenate([flows / due[name] for name, flows in self.goodputs().items()])
        return {
            "jain": jain(got),
            "error_percent": 100 * float(np.abs(got - 1).max()),
            "goodput_mbps": total,
        }


def jain(values: NDArray[np.float64]) -> float:
    """Return Jain's index of fairness: 1 if all values are equal, 1 over their number if all but one are 0.

    Jain, Chiu and Hawe, A Quantitative Measure of Fairness and Discrimination (DEC-TR-301, 1984).
    """
    return float(values.sum() ** 2 / (len(values) * (values**2).sum()))


def share(
    sender: Host, receiver: Host, groups: Mapping[str, Group], seconds: float, congestion: str
) -> Shares:
    """Send all flows of all groups at the same time, for so long after TCP has settled."""
    lasting = math.ceil(SETTLING + seconds)
    with ExitStack() as ended:
        transfers = [
            ended.enter_context(
                iperf(
                    sender,
                    receiver,
                    seconds=lasting,
                    flows=group.flows,
                    dscp=group.dscp,
                    congestion=congestion,
                )
            )
            for group in groups.values()
        ]
        rates = together([transfer.wait() for transfer in transfers])
    return Shares(groups, dict(zip(groups, rates, strict=True)))


def together(arrived: Sequence[Arrived]) -> list[NDArray[np.float64]]:
    """Return the rates of several transfers, Mbit/s, in those intervals in which all of them sent.

    They begin one after the other, and so they end: what the last has for itself then is left out.
    """
    begin = max(each.start for each in arrived)
    skipped = [round((begin - each.start) / INTERVAL) for each in arrived]
    count = min(each.rates.shape[1] for each in arrived) - max(skipped) - 1
    return [
        each.rates[:, first : first + count] / _MEGA for each, first in zip(arrived, skipped, strict=True)
    ]
