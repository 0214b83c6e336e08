"""Real traffic between hosts: TCP from plain sockets, and ping. All of it ends by itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.lab.namespace import LabError
from penstock.lab.underway import Underway

if TYPE_CHECKING:
    from penstock.lab.host import Host

_PEER: Final = [sys.executable, "-I", str(Path(__file__).with_name("peer.py"))]
_PIPES: Final[dict[str, Any]] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
_MARGIN: Final = 20.0  # s that a client may take beyond its own time, on a busy machine


@dataclass(frozen=True)
class Totals:
    """What a transfer's client did. `bytes_sent` is what the server has read, if no connection `failed`."""

    connections: int
    failed: int
    exchanges: int
    bytes_sent: int
    bytes_received: int
    seconds: float
    times: NDArray[np.float64]
    """Of exchanges that are `timed`, a row for each: when it began, s since 1970, and how long it took, s."""


class Transfer(Underway):
    """TCP traffic under way: `wait` for its end, or leave a `with` block to stop it."""

    def __init__(self, client: Host, server: Host, version: Literal[4, 6], **spec: Any) -> None:
        address = server.address(version)
        serving, port = start_server(server, address, spec["request"], spec["reply"])
        spec = {"address": address, "port": port, **spec}
        sending = client.popen([*_PEER, "send", json.dumps(spec)], **_PIPES)
        super().__init__(f"{client.name}: TCP to {server.name}", sending, serving, spec["seconds"] + _MARGIN)

    def wait(self) -> Totals:
        """Wait for the client's end and return what it did; `LabError` if it broke or a connection failed."""
        counts = json.loads(self._printed(self._client))
        self.stop()
        totals = Totals(**counts | {"times": np.reshape(np.array(counts["times"], np.float64), (-1, 2))})
        if totals.failed:
            message = f"{totals.failed} of {totals.connections} TCP connections failed"
            raise LabError(message)
        return totals


def start_server(server: Host, address: str, request: int, reply: int) -> tuple[subprocess.Popen[str], int]:
    """Start a process that answers every `request` bytes with `reply` bytes; return it, and its port."""
    answer = {"address": address, "request": request, "reply": reply}
    process = server.popen([*_PEER, "serve", json.dumps(answer)], **_PIPES)
    assert process.stdout is not None
    port = process.stdout.readline()
    if not port:
        message = f"{server.name}: no TCP server at {address}"
        raise LabError(message)
    return process, int(port)


def bulk(
    client: Host,
    server: Host,
    *,
    flows: int = 1,
    seconds: float = 2.0,
    size: int = 0,
    pacing: int = 0,
    congestion: str = "",
    version: Literal[4, 6] = 4,
) -> Transfer:
    """Send as much as TCP will, from the client to the server.

    Args:
        client: Host that sends.
        server: Host that receives.
        flows: Connections at the same time, up to 1000.
        seconds: How long, at most.
        size: Bytes that each flow sends and then ends; 0 for no limit but time.
        pacing: Bytes per second that each flow sends at most, evenly spread by the kernel; 0 for no limit.
        congestion: TCP's congestion control; empty for the kernel's default.
        version: 4 or 6, of IP.
    """
    return Transfer(
        client,
        server,
        version,
        flows=flows,
        seconds=seconds,
        request=size or 1 << 16,
        reply=0,
        exchanges=1 if size else 0,
        pacing=pacing,
        congestion=congestion,
    )


def exchange(
    client: Host,
    server: Host,
    *,
    flows: int = 1,
    seconds: float = 2.0,
    request: int = 100,
    reply: int = 1000,
    interval: float = 0.01,
    exchanges: int = 0,
    reconnect: bool = False,
    timed: bool = False,
    dscp: int = 0,
    version: Literal[4, 6] = 4,
) -> Transfer:
    """Send requests and wait for the reply to each, on every flow.

    Args:
        client: Host that asks.
        server: Host that answers.
        flows: Connections at the same time, up to 1000.
        seconds: How long, at most.
        request: Bytes of a request.
        reply: Bytes of a reply.
        interval: Seconds between a reply and the next request on the same flow.
        exchanges: After how many a flow ends; 0 for no limit but time.
        reconnect: A new connection for every exchange: many short flows.
        timed: Whether `Totals.times` has each exchange, with the time that connecting takes if it does.
        dscp: Of the client's packets, 0 to 63.
        version: 4 or 6, of IP.
    """
    return Transfer(
        client,
        server,
        version,
        flows=flows,
        seconds=seconds,
        request=request,
        reply=reply,
        interval=interval,
        exchanges=exchanges,
        reconnect=reconnect,
        timed=timed,
        dscp=dscp,
    )


@dataclass(frozen=True)
class Ping:
    """What ping reported: packets sent, and the RTT of each reply in ms."""

    sent: int
    rtts_ms: tuple[float, ...]


def ping(
    source: Host,
    target: Host,
    *,
    count: int = 5,
    interval: float = 0.05,
    size: int = 56,
    dscp: int = 0,
    version: Literal[4, 6] = 4,
) -> Ping:
    """Ping `count` times, every `interval` seconds, with `size` bytes of data and a DSCP.

    Lost replies are no error; `LabError` if ping does not even send.
    """
    flags = ["-c", str(count), "-i", str(interval), "-s", str(size), "-Q", str(dscp << 2), "-W", "1"]
    command = ["ping", f"-{version}", "-n", *flags, target.address(version)]
    process = source.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=count * max(interval, 1.0) + _MARGIN)
    sent = re.search(r"(\d+) packets transmitted", output)
    if sent is None:
        message = f"{source.name}: {' '.join(command)}: {errors.strip() or 'no result'}"
        raise LabError(message)
    return Ping(int(sent[1]), tuple(float(rtt) for rtt in re.findall(r"time=([\d.]+) ms", output)))
