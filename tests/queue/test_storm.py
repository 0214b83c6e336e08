"""Two CPUs feed one queue as fast as they can while everything about it changes.

Each sender is one flow. A packet carries its number, random octets and their checksum, so that the far end
tells what is lost, what came twice, what overtook and what was changed on the way.
PENSTOCK_STORM_SECONDS is how long both storms last together.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from pyroute2.ethtool.ioctl import IoctlEthtool

import penstock
from penstock.lab import Host, Interface, Lab, ping
from penstock.lang import (
    XDP_DROP,
    XDP_PASS,
    Array,
    ArrayMap,
    Global,
    PerCpuArray,
    Program,
    Struct,
    Xdp,
    array,
    be16,
    be32,
    helpers,
    i32,
    sizeof,
    u8,
    u16,
    u32,
    u64,
    xdp,
)
from penstock.net.ethernet import IPV4, Ethernet
from penstock.net.ip import IPv4
from penstock.net.udp import UDP
from penstock.queue.owner import ROOM
from penstock.queue.session import LOSSES, SENT, Queue
from penstock.schedulers.drr import Drr
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from tests.queue.free_slots import free_slots

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
SECONDS = float(os.environ.get("PENSTOCK_STORM_SECONDS", "60"))
CPUS = sorted(os.sched_getaffinity(0))[:2]
PORT = be16(9)
LONGEST = 1456
"""Octets of a packet's body; a multiple of 4, as checksums want it."""
BODIES = 64
"""Different ones for each sender."""
MOST = 1 << 27
"""Packets of a sender that the far end can tell apart."""
WORDS = MOST // 64
AT_ONCE = 50_000


class Stamped(Struct, packed=True):
    """What a packet begins with."""

    ethernet: Ethernet
    ip: IPv4
    udp: UDP
    sender: u16
    checksum: u32
    number: u64


class Body(Struct):
    octets: Array[u8] = array(LONGEST)


class Seen(Struct):
    """What came of one sender."""

    received: u64
    late: u64
    """After one that was sent later."""
    again: u64
    corrupt: u64
    following: u64
    """The number after the highest that came."""


def checksum(body: Body, size: u32, seed: u64) -> u32:
    total = u64(helpers.csum_diff(body, 0, body, size, u32(seed))) & 0xFFFF_FFFF
    total = (total & 0xFFFF) + (total >> 16)
    return u32((total & 0xFFFF) + (total >> 16))


class Sender:
    """Packets from one CPU."""

    def __init__(self, index: int, end: Interface, gateway: str, target: str) -> None:
        self.cpu, self.host = CPUS[index], end.host
        stamp = Global(Stamped, name="stamp")
        bodies = ArrayMap(Body, BODIES, name="bodies")
        self.loaded = penstock.load(program := _sender(stamp, bodies, end.index))
        self._program = self.loaded[program]
        octets = np.random.default_rng(index).integers(0, 256, (BODIES, LONGEST), np.uint8)
        self.loaded[bodies].memory["octets"] = octets
        self._stamp = self.loaded[stamp]
        self._stamp.value = Stamped(
            ethernet=Ethernet(destination=list(_mac(gateway)), source=list(_mac(end.mac)), ethertype=IPV4),
            ip=IPv4(
                version_length=0x45,
                ttl=64,
                protocol=17,
                source=be32(int(IPv4Address(end.host.address()))),
                destination=be32(int(IPv4Address(target))),
            ),
            udp=UDP(source=PORT, destination=PORT),
            sender=index,
        )

    @property
    def sent(self) -> int:
        return self._stamp.value.number

    def run(self, stop: threading.Event) -> None:
        os.sched_setaffinity(0, [self.cpu])
        with self.host.enter():
            while not stop.is_set():
                self._program.send(bytes(sizeof(Stamped) + LONGEST), AT_ONCE)


def _sender(stamp: Global[Stamped], bodies: ArrayMap[Body], ifindex: int) -> Program:
    @xdp
    def sender(packet: Xdp) -> int:
        head = stamp.value
        body = bodies.lookup(u32(head.number) & (BODIES - 1))
        if body is None:
            return XDP_DROP
        size = (((helpers.get_prandom_u32() & 1023) * (LONGEST // 4 - 2) >> 10) + 2) << 2
        length = sizeof(Stamped) + size
        if helpers.xdp_adjust_tail(packet, i32(length) - i32(packet.length)) != 0:
            return XDP_DROP
        head.ip.total_length, head.udp.length = be16(u16(length - 14)), be16(u16(length - 34))
        head.ip.checksum = be16(0)
        total = u64(helpers.csum_diff(head.ip, 0, head.ip, sizeof(IPv4), 0)) & 0xFFFF_FFFF
        total = (total & 0xFFFF) + (total >> 16)
        # What csum_diff reads as words of this machine is to be stored as such.
        head.ip.checksum = swapped(~u16((total & 0xFFFF) + (total >> 16)))
        head.checksum = checksum(body, size, head.number)
        helpers.xdp_store_bytes(packet, 0, head, sizeof(Stamped))
        helpers.xdp_store_bytes(packet, sizeof(Stamped), body, size)
        head.number += 1
        return u32(helpers.redirect(ifindex))

    return sender


def swapped(word: u16) -> be16:
    return be16(word << 8 | word >> 8) if sys.byteorder == "little" else be16(word)


class Sink:
    """The far end: it looks at each packet, counts, and drops it."""

    def __init__(self, end: Interface, senders: int) -> None:
        seen = ArrayMap(Seen, senders, name="seen")
        numbers = ArrayMap(u64, senders * WORDS, name="numbers")
        program = _sink(seen, numbers)
        self.loaded = penstock.load(program)
        self._seen = self.loaded[seen]
        with end.host.enter():
            self.loaded.attach_xdp(program, end.name)

    def total(self, what: str) -> int:
        return int(self._seen.memory[what].sum())


def _sink(seen: ArrayMap[Seen], numbers: ArrayMap[u64]) -> Program:
    scratch = PerCpuArray(Body, 1, name="scratch")

    @xdp
    def sink(packet: Xdp) -> int:
        head, body = packet.read(Stamped, 0), scratch.lookup(0)
        if head is None or body is None or head.ethernet.ethertype != IPV4 or head.udp.destination != PORT:
            return XDP_PASS
        sender, number = u32(head.sender), head.number
        one, word = seen.lookup(sender), numbers.lookup(sender * WORDS + u32(number >> 6))
        if one is None or word is None:
            return XDP_PASS
        one.received += 1
        size, told = packet.length - sizeof(Stamped), u32(u16(head.ip.total_length)) + 14
        if size < 8 or size > LONGEST or told != packet.length:
            one.corrupt += 1
            return XDP_DROP
        stamp = head.checksum
        loads = helpers.xdp_load_bytes(packet, sizeof(Stamped), body, size) == 0
        if not loads or checksum(body, size & 0x7FC, number) != stamp:
            one.corrupt += 1
            return XDP_DROP
        bit = u64(1) << (number & 63)
        one.again += u64(word.value & bit != 0)
        word.value |= bit
        one.late += u64(number < one.following)
        one.following = max(one.following, number + 1)
        return XDP_DROP

    return sink


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


class Storm:
    """Two senders, a box `m` between them and `b`, where all is counted.

    A router has an interface for each; a bridge, which has two ports, has a receive queue for each.
    """

    def __init__(self, lab: Lab, how: str) -> None:
        hosts = [lab.host("a"), lab.host("c")] if how == "router" else [lab.host("a")]
        self.m: Host = getattr(lab, how)("m")
        self.b = lab.host("b")
        links = [lab.link(host, self.m) for host in hosts]
        self.sources = [there for _, there in links]
        self.target, self.end = lab.link(self.m, self.b)
        for interface in [end for link in links for end in link] + [self.target, self.end]:
            interface.offload(gro=True)  # NAPI, without which veth takes no redirected frame
        if how == "bridge":
            with self.m.enter():
                _receive_by(self.sources[0].name, queues=2)
            links *= 2
        for host in hosts:
            ping(host, self.b, count=1)  # all know their neighbours from here on
        self.sink = Sink(self.end, len(links))
        lab.enter_context(self.sink.loaded)
        self.senders: list[Sender] = []
        for index, (here, there) in enumerate(links):
            gateway = there.mac if how == "router" else self.end.mac
            self.senders.append(Sender(index, here, gateway, self.b.address()))
            lab.enter_context(self.senders[-1].loaded)

    @contextmanager
    def blowing(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=sender.run, args=[stop]) for sender in self.senders]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @property
    def sent(self) -> int:
        return sum(sender.sent for sender in self.senders)

    def lost_between(self) -> int:
        """Packets that found the ring of a veth full."""
        return sum(_dropped(interface) for interface in self.sources) + _dropped(self.end)


def _receive_by(name: str, queues: int) -> None:
    device = IoctlEthtool(name)
    try:
        channels = device.get_channels()
        channels.rx_count = queues
        device.set_channels(channels)
    finally:
        device.close()


def _dropped(interface: Interface) -> int:
    (link,) = interface.host.netlink.get_links(interface.index)
    return int(link.get("stats64")["rx_dropped"])


@pytest.fixture(params=["router", "bridge"])
def storm(lab: Lab, request: pytest.FixtureRequest) -> Storm:
    return Storm(lab, request.param)


def test_nothing_is_lost_twice_late_or_changed(storm: Storm) -> None:
    """Under a storm with statistics read, the scheduler swapped and the rate changed all the time."""
    names = [source.name for source in storm.sources]
    with storm.m.enter(), Queue(names, storm.target.name, Fifo, slots=500) as queue:
        with storm.blowing():
            _change(queue, SECONDS / 2)
        _until(lambda: queue.waiting() == 0)
        time.sleep(0.1)
        _slots_are_whole(queue)
        told, counts = queue.statistics(), queue.counts()
    left = sum(getattr(counts, name).packets for name in SENT)
    lost = sum(getattr(counts, name).packets for name in LOSSES) + told["dropped"]["packets"]
    assert storm.sent > 100_000
    assert max(sender.sent for sender in storm.senders) < MOST
    assert storm.sink.total("corrupt") == storm.sink.total("again") == storm.sink.total("late") == 0
    assert storm.sink.total("received") == left - _dropped(storm.end)
    assert storm.sent == storm.sink.total("received") + lost + storm.lost_between()


def _change(queue: Queue, seconds: float) -> None:
    """Change all that can change while packets go on, the scheduler three times at least."""
    swaps, end = 0, time.monotonic() + seconds
    rates = cycle([10**9, 10**8, None, 10**7, None])
    schedulers = cycle([FqCodel, Fifo, Drr, Fifo])
    drains = cycle(["sleep", "sleep", "poll"])
    while time.monotonic() < end or swaps < 3:
        queue.set({}, {"bits_per_second": next(rates)})
        queue.set_drain(next(drains))
        if queue._schedulers.handover is None:
            queue.swap(next(schedulers), {})
            swaps += 1
        for _ in range(50):
            queue.statistics()
            time.sleep(0.01)
        queue.check()
    queue.set({}, {"bits_per_second": None})


def _slots_are_whole(queue: Queue) -> None:
    """Each slot is free: the owner's, or one CPU's."""
    packets, loaded = queue.egress.packets, queue._loaded
    numbers = free_slots(loaded, packets)
    busy = loaded[queue.egress.owner.busy].value
    assert busy.staged == busy.taken
    for reserve in loaded[queue.egress.owner.reserves].memory:
        assert reserve["given"] - reserve["used"] == ROOM
        numbers += list(reserve["free"])
    assert sorted(map(int, numbers)) == list(range(packets.slots))


def _until(holds, seconds: float = 3) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.01)


def test_killed_in_a_storm_it_leaves_packets_moving(storm: Storm) -> None:
    sources = [word for source in storm.sources for word in ("--from", source.name)]
    command = [PENSTOCK, "queue", "run", "fifo", *sources, "--to", storm.target.name, "--rate", "100mbit"]
    process = storm.m.popen(command, stderr=subprocess.PIPE)
    assert "Ctrl-C ends it" in process.stderr.readline()
    with storm.blowing():
        _until(lambda: storm.sink.total("received") > 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _ in range(3):
            before = [int(number) for number in storm.sink._seen.memory["received"]]
            time.sleep(1)
            after = storm.sink._seen.memory["received"]
            assert all(now - then > 100 for now, then in zip(after, before, strict=True))
    assert storm.sink.total("corrupt") == storm.sink.total("again") == 0
    for sender in storm.senders:
        assert len(ping(sender.host, storm.b, count=3).rtts_ms) == 3
