"""Bulk traffic by iperf3: TCP as fast as it goes or UDP at a rate, and what of it arrived when."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.lab.namespace import LabError
from penstock.lab.underway import Underway

if TYPE_CHECKING:
    from penstock.lab.host import Host

INTERVAL: Final = 0.1
"""s between two counts of what has arrived; no less is to be had."""

_LISTENING: Final = 5.0
"""s until the server listens, at most."""

_MARGIN: Final = 20.0
"""s that it may take to begin and to end, besides its own time: through a full queue, on a busy machine."""

_US: Final = 1e6

_ports: Final = itertools.count(5201)


@dataclass(frozen=True)
class Arrived:
    """What a server of iperf3 has received. Rates are of payload, in bit/s."""

    start: float
    """When the client began to connect, s since 1970; the first interval begins some RTTs later."""
    rates: NDArray[np.float64]
    """A row for each flow, a column for each interval of 0.1 s."""
    goodput: float
    """Of all flows, over the whole time."""
    shares: NDArray[np.float64]
    """The rate of each flow, over the whole time."""
    retransmits: int
    """TCP segments sent again; 0 for UDP."""
    lost: int
    """UDP packets that did not arrive; 0 for TCP."""
    rtt: float
    """Mean of the smoothed RTTs of TCP's senders, read now and then, s; 0 for UDP."""


class Iperf(Underway):
    """iperf3 under way; made by `iperf`. A context manager that ends it."""

    def __init__(self, client: Host, server: Host, seconds: int, arguments: list[str], family: int) -> None:
        port = next(_ports)
        address = server.address(4 if family == 4 else 6)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        both = ["--port", str(port), "--interval", str(INTERVAL), "--json"]
        receiving = server.popen(["iperf3", "--server", "--one-off", "--bind", address, *both], **pipes)
        _await(receiving, port)
        self._start = time.time()
        command = ["iperf3", "--client", address, "--time", str(seconds), *arguments, *both]
        sending = client.popen(command, **pipes)
        super().__init__(f"{client.name}: iperf3 to {server.name}", sending, receiving, seconds + _MARGIN)

    def wait(self) -> Arrived:
        """Wait for its end, and return what arrived; LabError if it failed, or does not end."""
        try:
            return _arrived(self._start, self._output(self._client), self._output(self._server))
        finally:
            self.stop()

    def _output(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._printed(process))
        if "error" in found:
            raise LabError(f"{self._what}: {found['error']}")
        return found


def iperf(
    client: Host,
    server: Host,
    *,
    seconds: int = 5,
    flows: int = 1,
    udp: int = 0,
    length: int = 0,
    congestion: str = "",
    dscp: int = 0,
    version: Literal[4, 6] = 4,
) -> Iperf:
    """Send from the client to the server by iperf3.

    Args:
        client: Host that sends.
        server: Host that receives.
        seconds: How long.
        flows: Connections at the same time, up to 128; `bulk` has more.
        udp: Bit/s of payload that each flow sends by UDP; 0: TCP, as fast as it goes.
        length: Bytes of payload in each UDP packet, or of each write to TCP; 0 for iperf3's choice.
        congestion: TCP's congestion control; empty for the kernel's default.
        dscp: Of all packets, 0 to 63.
        version: 4 or 6, of IP.

    Raises:
        LabError: The server does not start. Ending, `wait` raises it if the client failed.
    """
    arguments = ["--parallel", str(flows)]
    if udp:
        arguments += ["--udp", "--bitrate", str(udp)]
    if length:
        arguments += ["--length", str(length)]
    if congestion:
        arguments += ["--congestion", congestion]
    if dscp:
        arguments += ["--dscp", str(dscp)]
    return Iperf(client, server, seconds, arguments, version)


def _await(server: subprocess.Popen[str], port: int) -> None:
    """Wait until the server listens: its JSON does not say when."""
    tables = [Path(f"/proc/{server.pid}/net/{table}") for table in ("tcp", "tcp6")]
    end = time.monotonic() + _LISTENING
    while not any(f":{port:04X} " in table.read_text("ascii") for table in tables):
        if server.poll() is not None or time.monotonic() > end:
            server.kill()
            output, errors = server.communicate()
            raise LabError(f"iperf3 does not listen on port {port}: {errors or output}")
        time.sleep(0.005)


def _arrived(start: float, sent: dict[str, Any], received: dict[str, Any]) -> Arrived:
    """Read what both ends printed, in iperf3's JSON."""
    counted = received["intervals"]
    seconds = sum(each["sum"]["seconds"] for each in counted)
    size = np.array([[flow["bytes"] for flow in each["streams"]] for each in counted], np.float64).sum(axis=0)
    # What is received after the client's time is up comes in a short interval at the end, which is no sample.
    whole = [each for each in counted if each["sum"]["seconds"] > INTERVAL / 2]
    rates = np.array([[flow["bits_per_second"] for flow in each["streams"]] for each in whole], np.float64)
    shares = size * 8 / seconds
    ends = [flow.get("udp", {}) for flow in received["end"]["streams"]]
    total = sent["end"].get("sum_sent", {})
    senders = [flow.get("sender", {}) for flow in sent["end"]["streams"]]
    return Arrived(
        start=start,
        rates=rates.T,
        goodput=float(shares.sum()),
        shares=shares,
        retransmits=total.get("retransmits", 0),
        lost=sum(end.get("lost_packets", 0) for end in ends),
        rtt=float(np.mean([sender.get("mean_rtt", 0) for sender in senders])) / _US,
    )
