"""Interactive traffic, and how long it takes: by the host that waits, and passively on the router."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab import Ping, Totals, exchange, ping, run_rtt

if TYPE_CHECKING:
    from penstock.experiments.dumbbell import Dumbbell
    from penstock.lab import Host, RunningRtt

PROTOCOLS: Final = {"ping": "ICMP", "request": "TCP"}
"""What is sent, and what `penstock rtt` says it is."""

EXPEDITED: Final = 46
"""The DSCP of all of it (RFC 3246)."""

_INTERVAL: Final = 0.01
"""s between two pings."""

_PAUSE: Final = 0.02
"""s between a reply and the next request on a flow."""

_FLOWS: Final = 4
"""That ask: so many that there are samples enough, and so few that they load nothing."""

_MS: Final = 1e3


@dataclass(frozen=True)
class Asked:
    """Pings and requests that had their replies, or not; `begin` is in s since 1970."""

    begin: float
    pings: Ping
    requests: Totals

    @property
    def lost(self) -> float:
        """Share of pings that had none."""
        return 1 - len(self.pings.rtts_ms) / self.pings.sent

    def times(self) -> dict[str, NDArray[np.float64]]:
        """Return how long the host waited for each reply, in ms, by what it had sent."""
        return {"ping": np.array(self.pings.rtts_ms), "request": self.requests.times[:, 1] * _MS}

    def select(self, rtts: NDArray[Any], server: Host) -> dict[str, NDArray[Any]]:
        """Return the RTTs of the same replies, of those that a router saw: arrays of `RTT`."""
        replies = rtts[rtts["source"] == server.address()]
        found = {kind: replies[replies["protocol"] == protocol] for kind, protocol in PROTOCOLS.items()}
        last = self.requests.times.sum(axis=1).max(initial=0)
        requests = found["request"]
        return found | {
            "request": requests[requests["time"] <= last]
        }  # later ones are of connections that end


def watch(net: Dumbbell, sender: str) -> RunningRtt:
    """Start measuring all RTTs on the router, between a sender and the queue.

    In XDP, where packets arrive before they wait: what the queue redirects passes no other place.
    """
    return run_rtt(net.router, net.entrances[sender], "--ingress", "xdp", "--rate-limit", "0")


def ask(host: Host, server: Host, seconds: float) -> Asked:
    """Ping a server, and send it requests of 100 bytes for replies of 1000, all marked EF, for so long.

    LabError if a connection fails.
    """
    begin = time.time()
    count = max(round(seconds / _INTERVAL), 1)
    with exchange(
        host, server, seconds=seconds, flows=_FLOWS, interval=_PAUSE, timed=True, dscp=EXPEDITED
    ) as asking:
        pings = ping(host, server, count=count, interval=_INTERVAL, dscp=EXPEDITED)
        return Asked(begin, pings, asking.wait())
