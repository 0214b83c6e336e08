from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from penstock.errors import KernelError
from penstock.kernel.interface import find_interface
from penstock.lab import Lab, exchange, ping
from penstock.rtt import linklayer
from penstock.rtt.histogram import LOWER
from penstock.rtt.linklayer import has_ethernet
from penstock.rtt.monitor import Monitor
from penstock.rtt.naming import Events, flow_keys, name_address, name_flow
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind
from tests.conftest import Middlebox

ALL = RttOptions(rate_limit=0)


@contextmanager
def monitor(box: Middlebox, options: RttOptions = ALL, *names: str, **where: Any) -> Iterator[Monitor]:
    """Measure on the middlebox, and check that it is left as it was."""
    with box.m.enter(), Monitor(names or [box.towards_a.name], options, **where) as running:
        yield running


def sources(events: Events) -> list[str]:
    return [name_flow(key).source for key in flow_keys(events[events["kind"] == EventKind.RTT])]


def test_what_came_is_read_after_detaching(middlebox: Middlebox) -> None:
    with monitor(middlebox) as running:
        ping(middlebox.a, middlebox.b, count=3)
        running.detach()
        ping(middlebox.a, middlebox.b, count=3)
        assert len(sources(running.read())) == 3
        assert len(running.read()) == 0


def test_a_limit_leaves_the_rest(middlebox: Middlebox) -> None:
    with monitor(middlebox) as running:
        ping(middlebox.a, middlebox.b, count=3)
        first, rest = running.read(2), running.read()
    assert len(first) == 2
    assert len(sources(first)) + len(sources(rest)) == 3


def test_totals_add_up(middlebox: Middlebox) -> None:
    with monitor(middlebox, RttOptions(rate_limit=0, flows=1024)) as running:
        exchange(middlebox.a, middlebox.b, flows=20, exchanges=3).wait()
        time.sleep(0.2)
        running.detach()
        running.sweep()
        events = running.read()
        totals = running.totals()
    assert totals.flows_seen == 20
    assert totals.events == len(events)
    assert totals.rtts == len(sources(events))
    assert totals.flows_room == 1024
    assert totals.missed == {}
    assert 0.2 < totals.seconds < 20


def test_evicted_flows_are_counted(middlebox: Middlebox) -> None:
    with monitor(middlebox, RttOptions(rate_limit=0, flows=64)) as running:
        with exchange(middlebox.a, middlebox.b, flows=300, seconds=20):
            time.sleep(2)
            running.sweep()
            during = running.totals()
            running.detach()
        running.sweep()
        totals = running.totals()
    assert during.flows_now < 300
    assert 0 < during.evicted <= totals.evicted
    assert f"{totals.evicted} flows evicted" in str(totals)


def test_the_table_may_have_room_for_more_than_a_million_flows(middlebox: Middlebox) -> None:
    with monitor(middlebox, RttOptions(rate_limit=0, flows=1_100_000)) as running:
        ping(middlebox.a, middlebox.b, count=2)
        running.sweep()
        totals = running.totals()
    assert (totals.flows_now, totals.flows_room) == (1, 1_100_000)
    assert totals.missed == {}


def test_lost_events_are_counted(middlebox: Middlebox) -> None:
    with monitor(middlebox, RttOptions(rate_limit=0, ring_bytes=4096)) as running:
        ping(middlebox.a, middlebox.b, count=100, interval=0.002)
        running.detach()
        events, totals = running.read(), running.totals()
    assert totals.lost > 0
    assert totals.rtts == 100
    assert len(sources(events)) < 100
    assert totals.lost + len(events) >= 100


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_own_replies_can_be_left_out(middlebox: Middlebox, ingress: Any) -> None:
    own = str(middlebox.towards_a.addresses[0].ip)
    with monitor(middlebox, RttOptions(rate_limit=0, local=False), ingress=ingress) as running:
        ping(middlebox.a, middlebox.m, count=2)
        ping(middlebox.a, middlebox.b, count=2)
        assert set(sources(running.read())) == {str(middlebox.b.address(4))}
    with monitor(middlebox, ingress=ingress) as running:
        ping(middlebox.a, middlebox.m, count=2)
        assert set(sources(running.read())) == {own}


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_loopback_interface_has_rtts(middlebox: Middlebox, ingress: Any, address: str) -> None:
    """Every packet passes it twice, out and in: the first time counts."""
    with monitor(middlebox, ALL, "lo", ingress=ingress) as running:
        middlebox.m.run(["ping", "-c3", "-i0.01", address])
        assert sources(running.read()) == [address] * 3
        assert running.totals().missed == {}


def test_own_addresses_are_followed(middlebox: Middlebox) -> None:
    new = "198.19.255.1"
    with monitor(middlebox, RttOptions(rate_limit=0, local=False)) as running:
        for number, expected in ((1, 0), (2, 1)):
            if number == 1:
                middlebox.m.netlink.addr("add", index=middlebox.towards_b.index, address=new, prefixlen=32)
            else:
                middlebox.m.netlink.addr("del", index=middlebox.towards_b.index, address=new, prefixlen=32)
                middlebox.b.netlink.addr(
                    "add", index=middlebox.b.interfaces[0].index, address=new, prefixlen=32
                )
                middlebox.m.route(f"{new}/32", str(middlebox.b.address(4)))
            running.sweep()
            middlebox.a.popen(["ping", "-c1", "-W1", new]).wait()
            assert len(sources(running.read())) == expected


def test_of_a_point_to_point_address_this_hosts_end_is_its_own(middlebox: Middlebox) -> None:
    own, peer = "198.19.255.2", "198.19.255.3"
    name = middlebox.towards_b.name
    middlebox.m.run(["ip", "address", "add", own, "peer", peer, "dev", name])
    with monitor(middlebox, RttOptions(rate_limit=0, local=False)) as running:
        found = {name_address(bytes(key)) for key in running._loaded[running._tables.own]}
    assert own in found
    assert peer not in found


def test_without_ethernet(lab: Lab) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    _, towards_a = lab.link(a, m, ethernet=False)
    lab.link(m, b)
    with m.enter():
        assert not has_ethernet(find_interface(towards_a.name))
        assert has_ethernet(find_interface("lo"))
        with Monitor([towards_a.name], ALL) as running:
            ping(a, b, count=3)
            ping(a, b, count=3, version=6)
            assert len(sources(running.read())) == 6


def test_other_kinds_of_link_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    can = linklayer._REQUEST.pack(b"lo", 280)  # ARPHRD_CAN
    monkeypatch.setattr(linklayer.fcntl, "ioctl", lambda *_: can)
    message = "cannot measure on lo: its link type 280 is neither Ethernet nor plain IP"
    with pytest.raises(KernelError, match=message):
        Monitor(["lo"], ALL)


def test_both_kinds_of_link_in_one_run(lab: Lab) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    _, towards_a = lab.link(a, m, ethernet=False)
    towards_b, _ = lab.link(m, b)
    with m.enter(), Monitor([towards_a.name, towards_b.name], ALL) as running:
        ping(a, b, count=3)
        events = running.read()
    assert len(sources(events)) == 6
    assert set(events["ifindex"].tolist()) == {towards_a.index, towards_b.index}


def test_nothing_is_attached_if_one_interface_is_missing(middlebox: Middlebox) -> None:
    with middlebox.m.enter(), pytest.raises(KernelError, match="no interface pst-x"):
        Monitor([middlebox.towards_a.name, "pst-x"], ALL)


def test_interfaces_that_go_are_named_once(middlebox: Middlebox) -> None:
    names = middlebox.towards_a.name, middlebox.towards_b.name
    with monitor(middlebox, ALL, *names) as running:
        assert running.lose_interfaces() == []
        middlebox.m.netlink.link("del", index=middlebox.towards_b.index)
        assert running.lose_interfaces() == [names[1]]
        assert running.lose_interfaces() == []
        assert list(running.interfaces) == [names[0]]


def test_kernel_and_python_agree_on_buckets(middlebox: Middlebox) -> None:
    """One RTT by itself: its bucket holds its exact value, which the kernel keeps as minimum and sum."""
    options = RttOptions(rate_limit=0, aggregate=True, rtt_events=False, flow_events=False)
    with monitor(middlebox, options) as running:
        for _ in range(10):
            ping(middlebox.a, middlebox.b, count=1)
            (rtts,) = [report.rtts for report in running.reports() if report.rtts is not None]
            ((lower, count),) = rtts.histogram
            upper = LOWER[np.searchsorted(LOWER, lower) + 1]
            assert count == 1
            assert lower <= rtts.minimum == rtts.mean == rtts.maximum < upper


def test_a_network_that_falls_silent_takes_no_room(middlebox: Middlebox) -> None:
    options = RttOptions(rate_limit=0, aggregate=True, rtt_events=False, flow_events=False)
    with monitor(middlebox, options) as running:
        ping(middlebox.a, middlebox.b, count=3)
        running.detach()
        assert any(report.rtts for report in running.reports())
        for table in running._tables.aggregates:
            assert len(running._loaded[table].read()[0]) == 0
        assert running.reports() == []


def test_prefixes_beyond_the_table_are_summed_up(middlebox: Middlebox) -> None:
    options = RttOptions(rate_limit=0, aggregate=True, rtt_events=False, flow_events=False, prefixes=1)
    with monitor(middlebox, options) as running:
        for _ in range(3):  # both sets, and the first again
            ping(middlebox.a, middlebox.b, count=3)
            ping(middlebox.a, middlebox.b, count=3, version=6)
            reports = {report.prefix: report for report in running.reports()}
            sent = sum(report.sent.packets for report in reports.values())
            assert {"0.0.0.0/0", "::/0"} & set(reports)
            assert sent >= 12  # with neighbour discovery
        assert running.totals().missed.keys() == {"packets of prefixes not recorded"}
        running.detach()
        for _ in range(2):  # what is left in either set
            running.reports()
        assert running.reports() == running.reports() == []
