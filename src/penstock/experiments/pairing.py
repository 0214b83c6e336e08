"""RTTs that `penstock rtt` reported, each beside the same one of a capture."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab.passive import PASSIVE_RTT
from penstock.lab.pcap import ICMP, TCP

_NEAR: Final = 2_000_000
"""ns by which the two may differ about when a reply came."""

_APART: Final = 1 << 44
"""ns: longer than any capture."""

_FAR: Final = 1 << 62
"""ns: farther than any of them."""

_FLOW: Final = ["protocol", "source", "source_port", "target", "target_port"]
_PROTOCOLS: Final = {"ICMP": ICMP, "TCP": TCP}
_NS: Final = 1e9


@dataclass(frozen=True)
class Pairs:
    """RTTs that are in both, ns, and how many are in one only."""

    captured: NDArray[np.int64]
    reported: NDArray[np.int64]
    alone: int


def pair(reported: NDArray[Any], captured: NDArray[Any]) -> Pairs:
    """Pair RTTs of the same flow whose replies came at the same time: the nearest ones, each at most once.

    Args:
        reported: An array of `PASSIVE_RTT`, from `as_captured`.
        captured: Another, from `Matcher.feed`.
    """
    both = np.concatenate([captured, reported])
    _, flows = np.unique(both[_FLOW], return_inverse=True)
    places: NDArray[np.int64] = flows * _APART + both["time"] - both["time"].min(initial=0)
    ours, theirs = places[len(captured) :], places[: len(captured)]
    order = np.argsort(theirs)
    ends = np.concatenate([[-_FAR], theirs[order], [_FAR]])
    after = np.searchsorted(ends, ours)
    nearest = np.where(ours - ends[after - 1] < ends[after] - ours, after - 1, after)
    found = np.flatnonzero(np.abs(ends[nearest] - ours) <= _NEAR)
    used, first = np.unique(order[nearest[found] - 1], return_index=True)
    mine = found[first]
    alone = len(reported) + len(captured) - 2 * len(used)
    return Pairs(captured["rtt"][used], reported["rtt"][mine], alone)


def as_captured(reported: NDArray[Any]) -> NDArray[Any]:
    """Return RTTs over IPv4 that are as `RunningRtt.rtts` gives them, as `PASSIVE_RTT`."""
    rtts = np.empty(len(reported), PASSIVE_RTT)
    rtts["time"], rtts["rtt"] = np.rint(reported["time"] * _NS), np.rint(reported["rtt"] * _NS)
    rtts["protocol"] = [_PROTOCOLS[each] for each in reported["protocol"]]
    for name, own in (("source", "source"), ("destination", "target")):
        rtts[own] = [int(IPv4Address(each)) for each in reported[name]]
        rtts[f"{own}_port"] = reported[f"{name}_port"]
    return rtts
