"""Every RTT that `penstock rtt` reports, against one computed from a capture of the same packets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.lab import Host, Interface, Lab, bulk, exchange, ping
from tests.conftest import Middlebox
from tests.kernel.rtt_measure import Measurement, one_cpu

Traffic = Callable[[Host, Host, int], object]

TRAFFIC: dict[str, Traffic] = {
    # One ping after the other, so close that the machine stays awake: it takes longer than 20 µs to wake up.
    "ping": lambda a, b, version: ping(a, b, count=200, interval=0.002, version=version),
    "1 flow": lambda a, b, version: exchange(a, b, interval=0.001, seconds=1, version=version).wait(),
    "10 flows": lambda a, b, version: exchange(a, b, flows=10, seconds=1, version=version).wait(),
    "100 flows": lambda a, b, version: exchange(a, b, flows=100, seconds=1, version=version).wait(),
    "1 bulk": lambda a, b, version: bulk(a, b, seconds=1, version=version).wait(),
    "10 bulk": lambda a, b, version: bulk(a, b, flows=10, seconds=1, version=version).wait(),
    "100 bulk": lambda a, b, version: bulk(a, b, flows=100, seconds=1, version=version).wait(),
    "short flows": lambda a, b, version: exchange(
        a, b, flows=10, interval=0.005, seconds=1, reconnect=True, version=version
    ).wait(),
}

LEAST = {"1 bulk": 100}
"""How many RTTs there must be at least, to be worth the comparison; else 200, or as many as pings."""


@pytest.mark.parametrize(("ingress", "version"), [("tc", 4), ("xdp", 6)])
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_every_rtt(middlebox: Middlebox, tmp_path: Path, traffic: str, ingress: str, version: int) -> None:
    options = ("--rate-limit=0", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        TRAFFIC[traffic](middlebox.a, middlebox.b, version)
    comparison = measured.verified(middlebox.towards_a)
    assert len(comparison.pairs) >= LEAST.get(traffic, 200)
    # Only bulk traffic loses packets, whose TSvals are never echoed and hold their slots for a while.
    assert traffic.endswith("bulk") or "nothing missed" in measured.errors
    assert not comparison.miscounted, "packets and bytes, sent and received, with each RTT"
    a = middlebox.a.address(4 if version == 4 else 6)
    for each in measured.objects:
        assert each.get("match_on_egress", each["src_ip"] != a) == (each["src_ip"] != a)


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
@pytest.mark.parametrize("traffic", ["100 flows", "10 bulk", "short flows"])
def test_every_rtt_on_all_cpus(middlebox: Middlebox, tmp_path: Path, traffic: str, ingress: str) -> None:
    options = ("--rate-limit=0", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured:
        TRAFFIC[traffic](middlebox.a, middlebox.b, 4)
    comparison = measured.verified(middlebox.towards_a)
    assert len(comparison.pairs) >= 200


@pytest.mark.parametrize(("ingress", "version"), [("tc", 6), ("xdp", 4)])
def test_syn_packets_if_asked_for(middlebox: Middlebox, tmp_path: Path, ingress: str, version: int) -> None:
    options = ("--rate-limit=0", "--include-syn", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        TRAFFIC["short flows"](middlebox.a, middlebox.b, version)
    comparison = measured.verified(middlebox.towards_a, syn=True)
    assert not comparison.missing, comparison
    assert not comparison.miscounted
    connections = measured.numbers["flows"]
    assert len(comparison.pairs) >= 2 * connections > 200, "a SYN and a SYN-ACK each"


@pytest.mark.parametrize(("ingress", "version"), [("tc", 4), ("tc", 6), ("xdp", 4), ("xdp", 6)])
@pytest.mark.parametrize("tags", [(100,), (200, 100)], ids=["VLAN", "QinQ"])
def test_tagged(lab: Lab, tmp_path: Path, tags: tuple[int, ...], ingress: str, version: int) -> None:
    a, m, b = lab.host("a"), lab.bridge("m"), lab.host("b")
    _, towards_a = lab.link(a, m, tags=tags)
    lab.link(m, b, tags=tags)
    compare_some_traffic(tmp_path, a, b, towards_a, "--ingress", ingress, version=version)


@pytest.mark.parametrize("version", [4, 6])
def test_without_ethernet_header(lab: Lab, tmp_path: Path, version: int) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    with one_cpu():  # packets are carried over by a process
        _, towards_a = lab.link(a, m, ethernet=False)
        lab.link(m, b)
    compare_some_traffic(tmp_path, a, b, towards_a, version=version)


def compare_some_traffic(
    folder: Path, a: Host, b: Host, interface: Interface, *options: str, version: int
) -> None:
    with Measurement(folder, interface, options=("--rate-limit=0", *options)) as measured, one_cpu():
        TRAFFIC["ping"](a, b, version)
        TRAFFIC["10 flows"](a, b, version)
        bulk(a, b, flows=2, seconds=0.5, version=version).wait()
    comparison = measured.verified(interface)
    assert not comparison.miscounted
    protocols = [rtt.protocol for rtt, _ in comparison.pairs]
    assert protocols.count("ICMP" if version == 4 else "ICMPv6") == 200
    assert protocols.count("TCP") > 200


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_several_interfaces_in_one_run(middlebox: Middlebox, tmp_path: Path, ingress: str) -> None:
    both = middlebox.towards_a, middlebox.towards_b
    options = ("--rate-limit=0", "--ingress", ingress)
    with Measurement(tmp_path, *both, options=options) as measured, one_cpu():
        TRAFFIC["ping"](middlebox.a, middlebox.b, 6)
        TRAFFIC["10 flows"](middlebox.a, middlebox.b, 4)
        TRAFFIC["10 bulk"](middlebox.b, middlebox.a, 4)
    for interface in both:
        comparison = measured.verified(interface)
        assert len(comparison.pairs) > 400
        assert not comparison.miscounted


def test_a_flow_that_began_unseen(middlebox: Middlebox, tmp_path: Path) -> None:
    with middlebox.b.enter():
        listener = socket.create_server((middlebox.b.address(4), 0))
    with listener, one_cpu():
        with middlebox.a.enter():
            client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            talk(client, server, 20)
            with Measurement(tmp_path, middlebox.towards_a) as measured:
                talk(client, server, 200)
    comparison = measured.verified(middlebox.towards_a)
    assert len(comparison.pairs) > 300
    assert not comparison.missing, comparison
    assert not comparison.miscounted


def talk(client: socket.socket, server: socket.socket, times: int) -> None:
    for _ in range(times):
        client.sendall(b"question")
        assert server.recv(100) == b"question"
        server.sendall(b"answer")
        assert client.recv(100) == b"answer"
        time.sleep(0.002)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_local_traffic(middlebox: Middlebox, tmp_path: Path, ingress: str, *, local: bool) -> None:
    """This host's own replies are timed or not; what it sends, and what passes through, is in any case."""
    options = ("--rate-limit=0", "--local" if local else "--no-local", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        for version in (4, 6):
            TRAFFIC["10 flows"](middlebox.a, middlebox.m, version)
            TRAFFIC["ping"](middlebox.a, middlebox.m, version)
            TRAFFIC["10 flows"](middlebox.a, middlebox.b, version)
    own = {str(address.ip) for address in middlebox.towards_a.addresses}
    comparison = measured.compared(middlebox.towards_a)
    assert not comparison.unsupported, comparison
    if local:
        assert not comparison.missing, comparison
    else:
        assert {rtt.src_ip for rtt, _ in comparison.pairs}.isdisjoint(own)
        assert {rtt.src_ip for rtt in comparison.missing} == own
        assert len(comparison.missing) > 400
    assert {rtt.dest_ip for rtt, _ in comparison.pairs} >= own
