"""Both ends of TCP traffic: `peer.py serve|send JSON`, run as processes by `penstock.lab.traffic`.

All traffic is exchanges: the client sends a request of so many bytes and waits for a reply of so many, on
each of its flows. Bulk traffic is requests without replies. A server ends when its standard input does, a
client when its time is up or its exchanges are done.
"""

from __future__ import annotations

import heapq
import itertools
import json
import resource
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

_ZEROS: Final = memoryview(bytes(1 << 18))
_LINGER: Final = 5.0  # s that the other end may take to read what is on its way, and close
_SO_MAX_PACING_RATE: Final = 47  # include/uapi/asm-generic/socket.h


@dataclass(frozen=True)
class Spec:
    """What a client does; sizes in bytes, times in seconds, `pacing` in bytes per second and flow."""

    address: str
    port: int
    flows: int
    request: int
    reply: int
    seconds: float
    interval: float = 0.0
    exchanges: int = 0
    reconnect: bool = False
    pacing: int = 0
    congestion: str = ""
    timed: bool = False
    dscp: int = 0


@dataclass
class Count:
    """What a client did."""

    connections: int = 0
    failed: int = 0
    exchanges: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    times: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Of each exchange, if it is `timed`: when it began, s since 1970, and how long it took, s."""


class Server:
    """Accepts connections and answers every `request` bytes on each with `reply` bytes."""

    def __init__(self, address: str, request: int, reply: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, 0), family=family, backlog=4096)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self._request, self._reply = request, reply
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._buffer = bytearray(1 << 18)

    def run(self) -> None:
        """Serve until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._serve(key.data)

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, Answered(connection))

    def _serve(self, answered: Answered) -> None:
        try:
            if self._receive(answered) and not answered.owed:
                self._close(answered)
                return
            if answered.owed:
                answered.owed -= answered.connection.send(_ZEROS[: answered.owed])
        except BlockingIOError:
            pass
        except OSError:  # reset by the client, which counts it
            self._close(answered)
            return
        reading = 0 if answered.ended else selectors.EVENT_READ
        writing = selectors.EVENT_WRITE if answered.owed or answered.ended else 0
        self._selector.modify(answered.connection, reading | writing, answered)

    def _receive(self, answered: Answered) -> bool:
        """Read what is there; return whether the client has ended its side."""
        try:
            size = 0 if answered.ended else answered.connection.recv_into(self._buffer)
        except BlockingIOError:
            return False
        answered.ended = size == 0
        before = answered.received // self._request
        answered.received += size
        answered.owed += (answered.received // self._request - before) * self._reply
        return answered.ended

    def _close(self, answered: Answered) -> None:
        self._selector.unregister(answered.connection)
        answered.connection.close()


@dataclass
class Answered:
    """A connection of the server."""

    connection: socket.socket
    received: int = 0
    owed: int = 0
    ended: bool = False


@dataclass(eq=False)
class Flow:
    """A flow of the client: one connection, or with `reconnect` one after the other."""

    connection: socket.socket = field(init=False)
    unsent: int = 0
    unread: int = 0
    done: int = 0
    began: float = 0.0
    closing: bool = False


class Client:
    """Runs all flows of a spec in one loop."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.count = Count()
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(1 << 18)
        self._turn = itertools.count()  # breaks ties between flows that are due at once
        self._due: list[tuple[float, int, Flow]] = []
        self._open = 0
        self._end = 0.0

    def run(self) -> dict[str, Any]:
        """Send until time is up or all is done; then end every connection and wait for the server's end."""
        start = time.monotonic()
        self._end = start + self.spec.seconds
        for number in range(self.spec.flows):
            flow = Flow()
            self._connect(flow)
            self._plan(flow, start + self.spec.interval * number / self.spec.flows)
        self._loop(self._end)
        seconds = time.monotonic() - start
        self._due.clear()
        for flow in [key.data for key in self._selector.get_map().values()]:
            if not flow.closing:
                self._finish(flow)
        self._loop(time.monotonic() + _LINGER)
        self.count.failed += self._open
        return {**vars(self.count), "seconds": seconds}

    def _loop(self, end: float) -> None:
        while (self._open or self._due) and (now := time.monotonic()) < end:
            while self._due and self._due[0][0] <= now:
                self._begin(heapq.heappop(self._due)[2])
            wake = min(end, self._due[0][0]) if self._due else end
            for key, events in self._selector.select(max(0.0, wake - now)):
                self._advance(key.data, events)

    def _connect(self, flow: Flow) -> None:
        family = socket.AF_INET6 if ":" in self.spec.address else socket.AF_INET
        flow.connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        flow.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.spec.congestion:
            name = self.spec.congestion.encode()
            flow.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
        if self.spec.pacing:
            flow.connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, self.spec.pacing)
        mark(flow.connection, self.spec.dscp)
        flow.connection.connect_ex((self.spec.address, self.spec.port))
        flow.closing = False
        self._selector.register(flow.connection, selectors.EVENT_READ, flow)
        self.count.connections += 1
        self._open += 1

    def _plan(self, flow: Flow, when: float) -> None:
        heapq.heappush(self._due, (when, next(self._turn), flow))

    def _begin(self, flow: Flow) -> None:
        """Start an exchange."""
        flow.began = time.time()
        if flow.connection.fileno() < 0:
            self._connect(flow)
        flow.unsent, flow.unread = self.spec.request, self.spec.reply
        self._selector.modify(flow.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, flow)

    def _advance(self, flow: Flow, events: int) -> None:
        """Go on with an exchange as far as the socket lets us."""
        try:
            if events & selectors.EVENT_WRITE and flow.closing:
                flow.connection.shutdown(socket.SHUT_WR)
                self._selector.modify(flow.connection, selectors.EVENT_READ, flow)
            elif events & selectors.EVENT_WRITE:
                sent = flow.connection.send(_ZEROS[: flow.unsent])
                flow.unsent -= sent
                self.count.bytes_sent += sent
                if not flow.unsent:
                    self._selector.modify(flow.connection, selectors.EVENT_READ, flow)
                    self._complete(flow)
            if events & selectors.EVENT_READ and flow.connection.fileno() >= 0:
                self._read(flow)
        except BlockingIOError:
            return
        except OSError:
            self._close(flow, failed=True)

    def _read(self, flow: Flow) -> None:
        size = flow.connection.recv_into(self._buffer)
        self.count.bytes_received += size
        flow.unread -= size
        if size == 0:
            self._close(flow, failed=not flow.closing)
        else:
            self._complete(flow)

    def _complete(self, flow: Flow) -> None:
        """See whether the exchange is done, and what comes then."""
        if flow.unsent or flow.unread or flow.closing:
            return
        self.count.exchanges += 1
        if self.spec.timed:
            self.count.times.append((flow.began, time.time() - flow.began))
        flow.done += 1
        if self.spec.reconnect or flow.done == self.spec.exchanges:
            self._finish(flow)
        else:
            self._plan(flow, time.monotonic() + self.spec.interval)

    def _finish(self, flow: Flow) -> None:
        """Say, when the socket lets us, that nothing more comes; the server closes when it has read all."""
        flow.closing = True
        self._selector.modify(flow.connection, selectors.EVENT_WRITE, flow)  # not before it is connected

    def _close(self, flow: Flow, *, failed: bool) -> None:
        self._selector.unregister(flow.connection)
        flow.connection.close()
        self._open -= 1
        self.count.failed += failed
        now = time.monotonic()
        if self.spec.reconnect and flow.done != self.spec.exchanges and now < self._end:
            self._plan(flow, now + self.spec.interval)


def mark(connection: socket.socket, dscp: int) -> None:
    """Give what a socket sends from now on a DSCP; TCP keeps the ECN bits to itself."""
    if connection.family == socket.AF_INET6:
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def main() -> None:
    """Be the server or the client that the arguments ask for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    role, text = sys.argv[1:]
    if role == "serve":
        server = Server(**json.loads(text))
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        server.run()
    else:
        sys.stdout.write(json.dumps(Client(Spec(**json.loads(text))).run()) + "\n")


if __name__ == "__main__":
    main()
