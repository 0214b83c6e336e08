"""Sends flows, each when it is due: `sender.py`, run as a process by `penstock.lab.workload`.

It reads its order, a line of JSON, and prints how long each flow took: from when it was due until its server
had read all and closed, in s; null for one that failed.
"""

from __future__ import annotations

import json
import math
import resource
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

_UNSENT: Final = 1 << 15
"""Bytes that the kernel holds of a flow before it sends them: what it sends has a mark that is not older."""

_ZEROS: Final = memoryview(bytes(_UNSENT))

_TCP_NOTSENT_LOWAT: Final = 25  # include/uapi/linux/tcp.h

_CODEPOINTS: Final = 64
_UNIT: Final = 1000
_STEPS: Final = 4

_CLASS: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}
"""The socket option with the DSCP."""


@dataclass(frozen=True)
class Order:
    """What the process is asked for; `starts` are in s from the beginning, in order, `sizes` in bytes."""

    address: str
    port: int
    starts: list[float]
    sizes: list[int]
    seconds: float
    marked: bool
    congestion: str


@dataclass(eq=False)
class Flow:
    """A connection; `left` is what is still to be sent, in bytes."""

    number: int
    left: int
    due: float
    connection: socket.socket
    mark: int = 0


class Sender:
    """Runs all flows of an order in one loop."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._took: list[float | None] = [None] * len(order.sizes)
        self._coming = deque(range(len(order.sizes)))
        self._selector = selectors.DefaultSelector()

    def run(self) -> tuple[float, list[float | None]]:
        """Send all; return when it began, s since 1970, and how long each flow took."""
        start, clock = time.monotonic(), time.time()
        end = start + self._order.seconds
        while (self._coming or self._selector.get_map()) and (now := time.monotonic()) < end:
            while self._coming and start + self._order.starts[self._coming[0]] <= now:
                number = self._coming.popleft()
                self._begin(number, start + self._order.starts[number])
            wake = start + self._order.starts[self._coming[0]] if self._coming else end
            for key, _ in self._selector.select(max(0.0, wake - time.monotonic())):
                self._advance(key.data)
        return clock, self._took

    def _begin(self, number: int, due: float) -> None:
        family = socket.AF_INET6 if ":" in self._order.address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
        if self._order.congestion:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._order.congestion.encode())
        flow = Flow(number, self._order.sizes[number], due, connection)
        self._mark(flow)
        connection.connect_ex((self._order.address, self._order.port))
        self._selector.register(connection, selectors.EVENT_WRITE, flow)

    def _advance(self, flow: Flow) -> None:
        """Go on with a flow as far as the socket lets us."""
        try:
            if flow.left:
                self._send(flow)
            elif not flow.connection.recv(1):
                self._took[flow.number] = time.monotonic() - flow.due
                self._close(flow)
        except BlockingIOError:
            return
        except OSError:
            self._close(flow)

    def _send(self, flow: Flow) -> None:
        self._mark(flow)
        flow.left -= flow.connection.send(_ZEROS[: flow.left])
        if not flow.left:
            flow.connection.shutdown(socket.SHUT_WR)
            self._selector.modify(flow.connection, selectors.EVENT_READ, flow)

    def _mark(self, flow: Flow) -> None:
        mark = remaining(flow.left)
        if self._order.marked and mark != flow.mark:
            flow.mark = mark
            flow.connection.setsockopt(*_CLASS[flow.connection.family], mark << 2)

    def _close(self, flow: Flow) -> None:
        self._selector.unregister(flow.connection)
        flow.connection.close()


def remaining(size: int) -> int:
    """Return the DSCP that says that so many bytes are still to come: four to a doubling, from 1 kB on."""
    return min(int(_STEPS * math.log2(1 + size / _UNIT)), _CODEPOINTS - 1)


def main() -> None:
    """Do what standard input asks for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdout.write(json.dumps(Sender(Order(**json.loads(sys.stdin.readline()))).run()) + "\n")


if __name__ == "__main__":
    main()
