"""UDP at a steady rate, from one host to another, which need not listen."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.lab.namespace import LabError
from penstock.lab.streamer import HEADERS, LONGEST, Order

if TYPE_CHECKING:
    from penstock.lab.host import Host

_STREAMER: Final = [sys.executable, "-I", str(Path(__file__).with_name("streamer.py"))]
_MARGIN: Final = 20.0
"""s that it may take beyond its time, on a busy machine."""

_BURST: Final = 0.0002
"""s between two bursts: a process that sleeps wakes up some tens of µs late."""

DISCARD: Final = 9
"""The port (RFC 863)."""


class Stream:
    """A stream under way, made by `stream`."""

    def __init__(self, host: Host, order: Order) -> None:
        self._host, self._limit = host, order.seconds + _MARGIN
        command = [*_STREAMER, json.dumps(asdict(order))]
        self._process = host.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(self) -> int:
        """Wait for its end; return how many frames were sent. LabError if it failed."""
        output, errors = self._process.communicate(timeout=self._limit)
        if self._process.returncode:
            raise LabError(f"{self._host.name}: cannot send a stream: {errors.strip().splitlines()[-1]}")
        return int(output)


def stream(source: Host, target: Host, rate: int, *, length: int = 1514, seconds: float = 2.0) -> Stream:
    """Start to send UDP over IPv4, in bursts of 0.2 ms of the rate, or of one frame.

    Args:
        source: Host that sends.
        target: Host that the packets are for, to the discard port.
        rate: Bit/s of frames, Ethernet header included.
        length: Bytes of each frame.
        seconds: How long.
    """
    most = LONGEST // (length - HEADERS)
    burst = min(max(round(rate * _BURST / 8 / length), 1), most)
    return Stream(source, Order(target.address(), DISCARD, rate, length, burst, seconds))
