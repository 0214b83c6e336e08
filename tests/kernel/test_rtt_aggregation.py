"""Sums and histograms of prefixes, as the programs keep them."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock
from penstock.lang import XDP_PASS, Global, Xdp, u32, u64, xdp
from penstock.rtt.aggregation import bucket_of
from penstock.rtt.histogram import bucket_of as expected_bucket
from penstock.rtt.options import RttOptions
from tests.kernel.rtt_rig import MS, Rig
from tests.net import frames
from tests.net.frames import echo, ip, ipv4, ipv6, tcp, udp

DATA = b"x" * 10


@contextmanager
def rig_of(**options: Any) -> Iterator[Rig]:
    rig = Rig(
        RttOptions(
            **{"aggregate": True, "rtt_events": False, "flow_events": False, "rate_limit": 0} | options
        )
    )
    try:
        yield rig
    finally:
        rig.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rig_of() as rig:
        yield rig


def sums(rig: Rig, which: int = 0) -> dict[str, Any]:
    """What one set holds, by prefix, summed over CPUs."""
    keys, values = rig.loaded[rig.tables.aggregates[which]].read()
    return {_text(key["address"]): total(value) for key, value in zip(keys, values, strict=True)}


def total(values: Any) -> dict[str, Any]:
    found = {name: values[name].sum(axis=0) for name in values.dtype.names}
    found["rtt_min"] = min((each["rtt_min"] for each in values if each["rtt_count"]), default=0)
    found["rtt_max"] = values["rtt_max"].max()
    return found


def _text(address: Any) -> str:
    found = ipaddress.IPv6Address(address.tobytes())
    return str(found.ipv4_mapped or found)


def test_packets_count_for_both_prefixes(rig: Rig) -> None:
    rig.send(ip("10.1.2.3", "10.9.8.7", frames.UDP, udp(1, 2, bytes(72))))
    found = sums(rig)
    assert set(found) == {"10.1.2.0", "10.9.8.0"}
    source, destination = found["10.1.2.0"], found["10.9.8.0"]
    assert (source["sent_packets"], source["sent_bytes"], source["received_packets"]) == (1, 100, 0)
    assert (destination["received_packets"], destination["received_bytes"]) == (1, 100)
    assert destination["sent_packets"] == 0


def test_traffic_within_a_prefix_counts_both_ways(rig: Rig) -> None:
    rig.send(ip("10.1.2.3", "10.1.2.4", frames.UDP, udp(1, 2, bytes(72))))
    (found,) = sums(rig).values()
    assert (found["sent_packets"], found["received_packets"], found["udp_packets"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("packet", "kind", "size"),
    [
        (ip("10.0.0.1", "10.9.0.1", frames.TCP, tcp(1, 2, 3, 4)), "tcp", 52),
        (ip("10.0.0.1", "10.9.0.1", frames.TCP, tcp(1, 2)), "tcp", 40),
        (ip("10.0.0.1", "10.9.0.1", frames.UDP, udp(1, 2)), "udp", 28),
        (ip("10.0.0.1", "10.9.0.1", frames.ICMP, echo(8, 1, 1)), "icmp", 28),
        (ip("10::1", "11::1", frames.ICMPV6, echo(128, 1, 1)), "icmp", 48),
        (ip("10::1", "11::1", 132, bytes(12)), "other", 52),
        (ipv4("10.0.0.1", "10.9.0.1", frames.UDP, bytes(80), fragment=10), "udp", 100),
    ],
)
def test_protocols(rig: Rig, packet: bytes, kind: str, size: int) -> None:
    rig.send(packet)
    for found in sums(rig).values():
        for name in ("tcp", "udp", "icmp", "other"):
            expected = (1, size) if name == kind else (0, 0)
            assert (found[f"{name}_packets"], found[f"{name}_bytes"]) == expected


@pytest.mark.parametrize("version", [4, 6])
def test_ecn(rig: Rig, version: int) -> None:
    for mark, count in enumerate((4, 3, 2, 1)):
        for _ in range(count):
            if version == 4:
                rig.send(ipv4("10.0.0.1", "10.9.0.1", 17, udp(1, 2), traffic_class=0xB8 | mark))
            else:
                rig.send(ipv6("10::1", "11::1", 17, udp(1, 2), traffic_class=0xB8 | mark))
    for found in sums(rig).values():
        assert found["ecn"].tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("bits", [0, 1, 8, 24, 31, 32])
def test_ipv4_prefixes(bits: int) -> None:
    with rig_of(prefix_v4=bits) as rig:
        rig.send(ip("255.254.253.251", "1.2.3.4", 17, udp(1, 2)))
        networks = {ipaddress.ip_network(f"{a}/{bits}", strict=False) for a in ("255.254.253.251", "1.2.3.4")}
        assert set(sums(rig)) == {str(network.network_address) for network in networks}


@pytest.mark.parametrize("bits", [0, 1, 48, 63, 64, 65, 127, 128])
def test_ipv6_prefixes(bits: int) -> None:
    a, b = "fedc:ba98:7654:3210:ffff:ffff:ffff:ffff", "2001:db8:1:2:3:4:5:6"
    with rig_of(prefix_v6=bits) as rig:
        rig.send(ip(a, b, 17, udp(1, 2)))
        networks = {ipaddress.ip_network(f"{each}/{bits}", strict=False) for each in (a, b)}
        assert set(sums(rig)) == {str(network.network_address) for network in networks}


def measured(rig: Rig) -> dict[str, Any]:
    """Three RTTs, of some 100, 300 and 2 ms, of packets from 10.0.0.1 which 10.9.0.1 answers."""
    flow = rig.connection("10.0.0.1", "10.9.0.1")
    flow.shake_hands()
    for value, delay in ((102, 0.1), (103, 0.3), (104, 0.002)):
        flow.a(value, 500, data=DATA)
        time.sleep(delay)
        flow.b(501, value)
    return sums(rig)


@pytest.mark.parametrize(("by", "prefix"), [("source", "10.9.0.0"), ("destination", "10.0.0.0")])
def test_rtts_count_for_the_source_or_destination_of_the_reply(by: str, prefix: str) -> None:
    with rig_of(aggregate_by=by) as rig:
        found = measured(rig)
    assert {name: each["rtt_count"] for name, each in found.items() if each["rtt_count"]} == {prefix: 3}
    rtts = found[prefix]
    between = rtts["rtt_sum"] - rtts["rtt_min"] - rtts["rtt_max"]
    assert 2 * MS <= rtts["rtt_min"] < 100 * MS <= between < 300 * MS <= rtts["rtt_max"]
    buckets = expected_bucket([int(rtts["rtt_min"]), int(between), int(rtts["rtt_max"])])
    assert np.flatnonzero(rtts["histogram"]).tolist() == sorted({*buckets.tolist()})
    assert rtts["histogram"].sum() == 3


def test_nothing_is_reported_one_by_one(rig: Rig) -> None:
    measured(rig)
    assert rig.counters.rtts == 3
    with pytest.raises(KeyError):
        rig.loaded[rig.tables.events]


def test_the_other_set_is_left_alone(rig: Rig) -> None:
    for which in (0, 1, 0):
        rig.loaded[rig.tables.active].value = which
        rig.send(ip("10.1.2.3", "10.9.8.7", frames.UDP, udp(1, 2)))
    assert [sums(rig, which)["10.1.2.0"]["sent_packets"] for which in (0, 1)] == [2, 1]


def test_what_finds_no_room_is_in_the_backup() -> None:
    with rig_of(prefixes=4) as rig:
        for which in (0, 1):
            rig.loaded[rig.tables.active].value = which
            for number in range(100):
                rig.send(ip(f"10.0.{number}.1", f"10.1.{number}.1", 17, udp(1, 2)))
                rig.send(ip(f"10:{number:x}::1", f"11:{number:x}::1", 17, udp(1, 2)))
        assert rig.counters.prefixes_refused >= 700
        backup = [total(values) for values in rig.loaded[rig.tables.backup].read()]
        for which in (0, 1):
            every = [*sums(rig, which).values(), *backup[2 * which : 2 * which + 2]]
            assert sum(each["sent_packets"] for each in every) == 200
            assert sum(each["received_packets"] for each in every) == 200
        assert all(each["sent_packets"] >= 90 for each in backup)


given_rtt, found_bucket = Global(u64), Global(u32)


@xdp
def choose_bucket(_packet: Xdp) -> int:
    found_bucket.value = bucket_of(given_rtt.value)
    return XDP_PASS


def test_buckets_are_those_that_python_reads() -> None:
    with penstock.load(choose_bucket) as loaded:

        @given(st.one_of(st.integers(0, 2**40 - 1), st.integers(9, 37).flatmap(near_a_power_of_two)))
        def check(rtt: int) -> None:
            loaded[given_rtt].value = rtt
            loaded[choose_bucket].test_run(bytes(14))
            assert loaded[found_bucket].value == expected_bucket(rtt)

        check()


def near_a_power_of_two(bits: int) -> st.SearchStrategy[int]:
    return st.integers((1 << bits) - 3, (1 << bits) + 3)
