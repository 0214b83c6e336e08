"""Many flows of all sizes that arrive by themselves, whether earlier ones are done or not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.lab.namespace import LabError
from penstock.lab.sender import Order
from penstock.lab.traffic import start_server
from penstock.lab.underway import Underway

if TYPE_CHECKING:
    from penstock.lab.host import Host

PLAN: Final = np.dtype([("start", "f8"), ("bytes", "i8")])
"""Of a flow that is to be sent: when, s from the beginning, and its size."""

COMPLETED: Final = np.dtype([("start", "f8"), ("bytes", "i8"), ("seconds", "f8")])
"""Of one that was: when it was due, s since 1970, its size, and how long it took from then on, s."""

_SENDER: Final = [sys.executable, "-I", str(Path(__file__).with_name("sender.py"))]

_ALL: Final = 1 << 62
"""Bytes: the server answers after so many, so it only reads."""

_PATIENCE: Final = 15.0
"""s that flows may take after the last one has begun."""

_MARGIN: Final = 10.0
"""s for the process itself, on a busy machine."""


def heavy_tailed(
    seed: int,
    rate: float,
    seconds: float,
    *,
    smallest: int = 10_000,
    largest: int = 5_000_000,
    tail: float = 1.1,
) -> NDArray[Any]:
    """Return a plan of flows that arrive at random (Poisson), most of them short, most bytes in long ones.

    Sizes are Pareto's, bounded: as those of files in the Web (Crovella and Bestavros, Self-Similarity in
    World Wide Web Traffic, IEEE/ACM Transactions on Networking 5(6), 1997).

    Args:
        seed: The same for the same plan.
        rate: bit/s of all flows together. The last flow is whole, so it is a little more.
        seconds: In which they begin.
        smallest: Bytes of a flow.
        largest: The same.
        tail: The exponent: the smaller, the more is in long flows.

    Returns:
        An array of `PLAN`, in order of time.
    """
    random = np.random.default_rng(seed)
    total = rate * seconds / 8
    shares = random.random(int(total / smallest) + 1)
    sizes = smallest * (1 - shares * (1 - (smallest / largest) ** tail)) ** (-1 / tail)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), total) + 1]
    plan = np.empty(len(sizes), PLAN)
    plan["start"] = np.sort(random.random(len(sizes)) * seconds)
    plan["bytes"] = sizes
    return plan


class Workload(Underway):
    """Flows under way; made by `send_flows`. `wait` for their end, or leave a `with` block to stop them."""

    def __init__(
        self, client: Host, server: Host, plan: NDArray[Any], version: Literal[4, 6], **how: Any
    ) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        address = server.address(version)
        receiving, port = start_server(server, address, request=_ALL, reply=0)
        self._plan, limit = plan, float(plan["start"].max(initial=0)) + _PATIENCE
        order = Order(address, port, plan["start"].tolist(), plan["bytes"].tolist(), limit, **how)
        sending = client.popen(_SENDER, **pipes)
        super().__init__(f"{client.name}: flows to {server.name}", sending, receiving, limit + _MARGIN)
        assert sending.stdin is not None
        sending.stdin.write(json.dumps(asdict(order)) + "\n")
        sending.stdin.flush()

    def wait(self) -> NDArray[Any]:
        """Wait for the end of all flows, and return them: an array of `COMPLETED`, in the plan's order.

        LabError if one of them failed, or took longer than 15 s after the last one had begun.
        """
        begin, took = json.loads(self._printed(self._client))
        self.stop()
        if failed := took.count(None):
            raise LabError(f"{failed} of {len(took)} flows failed")
        flows = np.empty(len(took), COMPLETED)
        flows["start"], flows["bytes"], flows["seconds"] = (
            begin + self._plan["start"],
            self._plan["bytes"],
            took,
        )
        return flows


def send_flows(
    client: Host,
    server: Host,
    plan: NDArray[Any],
    *,
    marked: bool = False,
    congestion: str = "",
    version: Literal[4, 6] = 4,
) -> Workload:
    """Send flows over TCP, each on a connection of its own, and begin each when it is due.

    Args:
        client: Host that sends.
        server: Host that receives.
        plan: What is sent and when, in order of time: an array of `PLAN`.
        marked: Whether the DSCP of packets says what their flow has still to send, for SRPT: four more
            for twice as much, 4 at 1 kB, 63 at 56 MB and more.
        congestion: TCP's congestion control; empty for the kernel's default.
        version: 4 or 6, of IP.
    """
    return Workload(client, server, plan, version, marked=marked, congestion=congestion)
