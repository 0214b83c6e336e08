"""Send UDP at a steady rate: `streamer.py JSON`, run as a process by `penstock.lab.stream`."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Final

HEADERS: Final = 14 + 20 + 8
"""Bytes of a frame before the payload: Ethernet, IPv4, UDP."""

LONGEST: Final = 65507
"""Bytes of payload that one call may send, as any number of packets."""

_UDP_SEGMENT: Final = 103  # include/uapi/linux/udp.h
_PRIORITY: Final = 2
"""More than a drain has: where packets arrive by an interrupt, none of them waits for a process either."""

_PR_SET_TIMERSLACK: Final = 29  # include/uapi/linux/prctl.h


@dataclass(frozen=True)
class Order:
    """What is sent: `rate` in bit/s of frames, `length` in bytes of a frame; `burst` frames at a time."""

    address: str
    port: int
    rate: int
    length: int
    burst: int
    seconds: float


def send(order: Order) -> int:
    """Send as ordered; return how many frames. A late burst does not make those after it late."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    payload = bytes(order.burst * (order.length - HEADERS))
    interval = order.burst * order.length * 8 / order.rate
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, order.length - HEADERS)
        udp.connect((order.address, order.port))
        start = time.monotonic()
        while (now := time.monotonic() - start) < order.seconds:
            if (early := sent * interval - now) > 0:
                time.sleep(early)
            udp.send(payload)
            sent += 1
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # to end takes Python 10 ms
    return sent * order.burst


if __name__ == "__main__":
    sys.stdout.write(f"{send(Order(**json.loads(sys.argv[1])))}\n")
