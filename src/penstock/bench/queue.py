"""How many packets per second one core forwards, with a queue and without.

Three network namespaces: frames come into the middle one from a generator, which is an XDP program that runs
on frames of its own, and leave for a sink that counts and drops them. All of it is on one core, but for the
drain that polls, so the figures are for comparison with each other.
"""

from __future__ import annotations

import os
import statistics
import struct
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

import numpy as np

import penstock
from penstock.lab import Interface, Lab
from penstock.lang import (
    XDP_DROP,
    Array,
    Global,
    PerCpuArray,
    Program,
    Struct,
    Xdp,
    array,
    be16,
    helpers,
    sizeof,
    u16,
    u32,
    u64,
    xdp,
)
from penstock.net.ethernet import Ethernet
from penstock.net.ip import IPv4
from penstock.queue import PacketPifo, QueuedPacket, Scheduler
from penstock.queue.catalogue import find
from penstock.queue.forwarding import Router
from penstock.queue.link import Rate
from penstock.queue.owner import cpus
from penstock.queue.session import FRAME, Draining, Queue
from penstock.schedulers.carousel import Carousel
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.token_bucket import TokenBucket

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from penstock.queue.gate import Gate

    IpAddress = IPv4Address | IPv6Address

BASICS: Final = ("redirect", "kernel", "bypass", "queued_fifo", "queued_random", "drain", "poll")
"""Cases besides the schedulers; the drains each alone."""

SIZES: Final = (64, 1500)
"""Bytes of a frame."""

ROUNDS: Final = 3
"""Cases take turns so many times; the median counts."""

_FRAMES: Final = 600_000
_WAITING: Final = 1000
_DRAINED: Final = 30_000
_POLLS: Final = 0.3
"""s until a process that polls does."""
_FLOWS: Final = 256
_SECOND: Final = 1_000_000_000
_SLOW: Final = Rate(1000)
"""Nothing leaves while packets are put into a queue."""
_FAST: Final = {"bits_per_second": 1_000_000_000_000, "burst": _SECOND}
_PERMANENT: Final = 0x80  # NUD_PERMANENT


@dataclass(frozen=True)
class Speed:
    """One case: millions of packets per second, and by how much that is more than the first two."""

    case: str
    size: int
    mpps: float
    of_redirect: float | None
    of_kernel: float | None


class _Ports(Struct, packed=True):
    source: be16
    destination: be16


class _Headers(Struct):
    """Ethernet, IP and UDP, but for the last octets, as words: octets would be written one by one."""

    words: Array[u64] = array(5)


class _Frame(Struct, packed=True):
    ethernet: Ethernet
    ip: IPv4
    ports: _Ports


class RandomRanks(Scheduler):
    """Ranks at random, at most 2047 after that of the packet that left last."""

    def setup(self) -> None:
        """Make the queue, and a generator of random numbers."""
        self.waiting = PacketPifo(self.packets, window=4096)
        self.last = Global(u64, name="last")
        self.random = Global(u64, name="random")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:  # noqa: ARG002
        """Let a packet wait, by chance."""
        self.random.value = self.random.value * 6364136223846793005 + 1442695040888963407
        return self.waiting.push(packet, self.last.value + (self.random.value >> 53))

    def dequeue(self, now: u64) -> QueuedPacket | None:  # noqa: ARG002
        """Return the packet with the lowest rank."""
        packet = self.waiting.pop()
        if packet is not None:
            self.last.value = packet.rank
        return packet


class FifoRanks(Scheduler):
    """A PIFO with the time of arrival as rank."""

    def setup(self) -> None:
        """Make the queue."""
        self.waiting = PacketPifo(self.packets, window=4096)
        self.arrivals = Global(u64, name="arrivals")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:  # noqa: ARG002
        """Let a packet wait for all that came before."""
        self.arrivals.value += 1
        return self.waiting.push(packet, self.arrivals.value)

    def dequeue(self, now: u64) -> QueuedPacket | None:  # noqa: ARG002
        """Return the oldest packet."""
        return self.waiting.pop()


def speeds(cases: Sequence[str], sizes: Sequence[int], rounds: int = ROUNDS) -> Iterator[Speed]:
    """Measure each case with each size; yield what was found for a size when all of it is known.

    LabError or KernelError if this user may not, or the kernel cannot.
    """
    for size in sizes:
        found: dict[str, list[float]] = {case: [] for case in cases}
        with _on_one_core():
            for _ in range(rounds):
                for case in cases:
                    with _Box(size) as box:
                        found[case].append(_measure(box, case))
        medians = {case: statistics.median(each) for case, each in found.items()}
        redirect, kernel = medians.get("redirect"), medians.get("kernel")
        for case, mpps in medians.items():
            ratios = [mpps / base if base else None for base in (redirect, kernel)]
            yield Speed(case, size, round(mpps, 4), *(ratio and round(ratio, 4) for ratio in ratios))


@contextmanager
def _on_one_core() -> Generator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _other_core() -> int:
    """The core for what polls: the last; all else is on the first."""
    return cpus() - 1


def _measure(box: _Box, case: str) -> float:
    """Return millions of packets per second."""
    if case == "kernel":
        return box.flow()
    if case == "redirect":
        with box.redirecting():
            return box.flow()
    if case == "bypass":
        with box.queue(Fifo, Rate()):
            return box.flow()
    if case in ("drain", "poll"):
        return _drain(box, "sleep" if case == "drain" else "poll")
    return _queued(box, RANKS[case] if case in RANKS else find(case))


_UNSHAPED: Final[dict[type[Scheduler], dict[str, str]]] = {
    TokenBucket: {"cs0": "1tbit"},
    Carousel: {"flow_rate": "1tbit"},
}
"""Options with which schedulers that hold packets back do not."""

RANKS: Final = {"queued_fifo": FifoRanks, "queued_random": RandomRanks}
"""Cases in which every packet waits in a PIFO."""


def _queued(box: _Box, scheduler: type[Scheduler]) -> float:
    """Every packet waits behind others, and leaves in the frame of one that comes."""
    with box.queue(scheduler, _SLOW) as queue:
        box.send(_WAITING)
        queue.set(_UNSHAPED.get(scheduler, {}), _FAST)
        return box.flow()


def _drain(box: _Box, how: Draining) -> float:
    """Packets wait, none arrives, and all leave as fast as the drain can send them."""
    with box.queue(Fifo, _SLOW, slots=_DRAINED, patience=0, drain=how) as queue:
        time.sleep(_POLLS)
        box.send(_DRAINED)
        waiting, start = queue.waiting(), time.perf_counter()
        queue.set({}, _FAST)
        while queue.waiting():
            time.sleep(0.0005)
        return waiting / (time.perf_counter() - start) / 1e6


class _Direct:
    """In place of a queue: frames leave as they are."""

    def __init__(self, ifindex: int) -> None:
        self.ifindex = ifindex
        self.frames = self
        self.size = FRAME

    def arrive(self, packet: Xdp) -> u32:  # noqa: ARG002
        """Send a frame."""
        return u32(helpers.redirect(self.ifindex))


class _Box(ExitStack):
    """A generator, a host that forwards, and a sink."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __enter__(self) -> Self:
        super().__enter__()
        lab = self.enter_context(Lab())
        source, self._middle, sink = lab.host("source"), lab.router("middle"), lab.host("sink")
        sends, self._into = lab.link(source, self._middle)
        self._out, receives = lab.link(self._middle, sink)
        to = receives.addresses[0].ip
        self._into.offload(gro=True)  # NAPI, without which veth takes no frame that is redirected to it
        neighbour = {"dst": str(to), "lladdr": receives.mac, "ifindex": self._out.index}
        self._middle.netlink.neigh("replace", state=_PERMANENT, **neighbour)
        with sink.enter():
            self._sink = self.enter_context(penstock.load(count_and_drop))
            self._sink.attach_xdp(count_and_drop, receives.index)
        self._generate = _generator(sends.index)
        self._sender = self.enter_context(penstock.load(self._generate))
        self._source = source
        self._frame = _frame(self._into.mac, sends, to, self._size)
        template = np.frombuffer(self._frame[: sizeof(_Headers)], _Headers.__layout__.dtype)
        self._sender[headers].memory[:] = template
        return self

    @contextmanager
    def queue(
        self,
        scheduler: type[Scheduler],
        rate: Rate,
        *,
        slots: int = 2 * _WAITING,
        patience: int = _SECOND,
        drain: Draining = "sleep",
    ) -> Generator[Queue]:
        """Have packets pass a queue, which leaves those that are overdue to arrivals if it is patient."""
        with (
            self._middle.enter(),
            Queue(
                [self._into.name],
                self._out.name,
                scheduler,
                rate=rate,
                slots=slots,
                patience=patience,
                drain=drain,
                poll_cpu=_other_core(),
            ) as queue,
        ):
            yield queue

    @contextmanager
    def redirecting(self) -> Generator[None]:
        """Forward by XDP, by the same routes, without a queue."""
        own = bytes.fromhex(self._into.mac.replace(":", ""))
        router = Router(cast("Gate", _Direct(self._out.index)), [own])

        @xdp
        def forward(packet: Xdp) -> int:
            return router.forward(packet)

        with self._middle.enter(), penstock.load(forward) as loaded:
            loaded.attach_xdp(forward, self._into.index)
            yield

    def send(self, count: int) -> None:
        """Send frames."""
        with self._source.enter():
            self._sender[self._generate].send(self._frame, count)

    def flow(self) -> float:
        """Send many frames; return how many millions of them came to the sink in a second.

        The first and the last do not count: to begin and to end takes the kernel tens of ms.
        """
        sending = threading.Thread(target=self.send, args=(_FRAMES,))
        before = self._sunk()
        sending.start()
        first, last = (self._when(before + share * _FRAMES // 10, sending) for share in (2, 8))
        sending.join()
        return (last[0] - first[0]) / (last[1] - first[1]) / 1e6

    def _when(self, sunk: int, sending: threading.Thread) -> tuple[int, float]:
        """Wait until so many frames have come; return how many there are then, and the time in s."""
        while (now := self._sunk()) < sunk and sending.is_alive():
            time.sleep(0.001)
        return now, time.perf_counter()

    def _sunk(self) -> int:
        return int(self._sink[sunk][0].sum())


sunk = PerCpuArray(u64, 1, name="sunk")
headers = Global(_Headers, name="headers")
sent = Global(u64, name="sent")


@xdp
def count_and_drop(packet: Xdp) -> int:  # noqa: ARG001
    """Count a frame."""
    counter = sunk.lookup(0)
    if counter is not None:
        counter.value += 1
    return XDP_DROP


def _generator(ifindex: int) -> Program:
    """The program that makes a frame anew each time: whoever forwarded it has changed it."""

    @xdp
    def generate(packet: Xdp) -> int:
        start, frame = packet.read(_Headers, 0), packet.read(_Frame, 0)
        if start is None or frame is None:
            return XDP_DROP
        sent.value += 1
        start.words = headers.value.words
        frame.ports.source = be16(u16(sent.value % _FLOWS))
        return u32(helpers.redirect(ifindex))

    return generate


def _frame(mac: str, source: Interface, to: IpAddress, size: int) -> bytes:
    """A UDP packet to the sink, by the host that forwards."""
    ethernet = bytes.fromhex(f"{mac}{source.mac}0800".replace(":", ""))
    own = source.addresses[0].ip
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0, 64, 17, 0, own.packed, to.packed)
    total = sum(struct.unpack("!10H", ip))
    checksum = ~(total + (total >> 16)) & 0xFFFF  # RFC 1071
    ip = ip[:10] + checksum.to_bytes(2, "big") + ip[12:]
    udp = struct.pack("!HHHH", 0, 9, size - 34, 0)
    return (ethernet + ip + udp).ljust(size, b"\0")
