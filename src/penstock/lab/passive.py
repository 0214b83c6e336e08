"""Passive ping in user space: RTTs of captured packets, by the rules of `penstock rtt` in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab.pcap import ICMP

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSIVE_RTT: Final = np.dtype(
    [
        ("time", "i8"),
        ("rtt", "i8"),
        ("protocol", "u1"),
        ("source", "u4"),
        ("source_port", "u2"),
        ("target", "u4"),
        ("target_port", "u2"),
    ]
)
"""An RTT: when the reply was seen, ns since 1970; the RTT, ns; who replied, and to whom."""

_FLOW: Final = ("protocol", "source", "source_port", "target", "target_port")
_BACK: Final = ("protocol", "target", "target_port", "source", "source_port")
_FACTOR: Final = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 divided by the golden ratio: it spreads bits


class Matcher:
    """Matches packets with their replies, a batch at a time.

    The first packet of a direction with a new identifier is timed, unless nobody has to answer it; the first
    reply that echoes the identifier ends that. NumPy finds the first ones of a batch; only these are looked
    up one by one. What nobody answers is kept: for captures of seconds, not of days.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        """The last identifier of each direction."""
        self._waiting: dict[int, int] = {}
        """When a packet was seen, by direction and identifier."""

    def feed(self, packets: NDArray[Any]) -> NDArray[Any]:
        """Take packets in, an array of `penstock.lab.pcap.PACKET`; return RTTs, an array of `PASSIVE_RTT`."""
        self._note(packets[packets["offers"] != 0])
        return self._match(packets[packets["answers"] != 0])

    def _note(self, packets: NDArray[Any]) -> None:
        flows = _hash(packets, _FLOW)
        first, names = _first(flows, packets["offers"])
        packets = packets[first]
        columns = [packets[name].tolist() for name in ("offers", "time", "timed", "protocol")]
        for flow, name, offers, time, timed, protocol in zip(
            flows[first].tolist(), names.tolist(), *columns, strict=True
        ):
            before = self._newest.get(flow)
            if before is not None and not 0 < (offers - before) % (1 << 32) < 1 << 31:  # RFC 7323, 5.2
                continue
            self._newest[flow] = offers
            # A TSval that was there when the capture began may be older than its first packet here.
            if timed and (before is not None or protocol == ICMP):
                self._waiting[name] = time

    def _match(self, packets: NDArray[Any]) -> NDArray[Any]:
        first, names = _first(_hash(packets, _BACK), packets["answers"])
        packets = packets[first]
        asked = np.array([self._waiting.pop(name, 0) for name in names.tolist()], np.int64)
        found = np.flatnonzero(asked)
        packets = packets[found]
        rtts = np.empty(len(found), PASSIVE_RTT)
        for field in ("time", *_FLOW):
            rtts[field] = packets[field]
        rtts["rtt"] = packets["time"] - asked[found]
        return rtts


def _first(flows: NDArray[np.uint64], numbers: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Return which packets are the first with their flow and number, in order, and what to call the two."""
    names = (flows ^ numbers) * _FACTOR
    _, first = np.unique(names, return_index=True)
    first.sort()
    return first, names[first]


def _hash(packets: NDArray[Any], fields: Sequence[str]) -> NDArray[np.uint64]:
    """Return 64 bits for each packet's fields: no two flows of a capture are likely to have the same."""
    mixed = np.zeros(len(packets), np.uint64)
    for field in fields:
        mixed = (mixed ^ packets[field]) * _FACTOR
        mixed ^= mixed >> np.uint64(29)
    return mixed
