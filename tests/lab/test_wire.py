"""Links with a delay and a rate."""

import statistics

import pytest

from penstock.lab import Lab, LabError, bulk, ping

MS = 1_000_000


def rtt(source, target, **options):
    """The median RTT in ms."""
    rtts = ping(source, target, count=20, interval=0.01, **options).rtts_ms
    assert len(rtts) == 20
    return statistics.median(rtts)


def least_rtt(source, target, **options):
    """The least of three medians: what else the machine does makes packets late, never early."""
    return min(rtt(source, target, **options) for _ in range(3))


def mbps(client, server, size):
    """Mbit/s of frames that TCP sends, beside its own goodput's headers."""
    totals = bulk(client, server, size=size, seconds=20).wait()
    return totals.bytes_sent * 8 / totals.seconds / 1e6 * 1514 / 1448


@pytest.mark.parametrize("version", [4, 6])
def test_a_delay_is_exact(lab, version):
    a, b = lab.host("a"), lab.host("b")
    near, far = (lab.link(a, b, delay=delay)[1] for delay in (0, 10 * MS))
    own = least_rtt(a, b, version=version)
    b.interfaces.remove(near)  # so that it is known by its other addresses
    assert far in b.interfaces
    assert 20 <= least_rtt(a, b, version=version) <= 20.3 + own


def test_a_delay_may_change(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, delay=10 * MS)
    lab.wires[0].set_delay(3 * MS)
    assert 6 <= rtt(a, b) < 8


def test_a_rate_holds_both_ways(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, rate=20_000_000, delay=1 * MS)
    assert mbps(a, b, 3_000_000) == pytest.approx(20, rel=0.05)
    assert mbps(b, a, 3_000_000) == pytest.approx(20, rel=0.05)
    assert lab.wires[0].dropped() == 0


def test_a_limit_drops(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, rate=20_000_000, delay=1 * MS, limit=10)
    mbps(a, b, 1_000_000)
    assert lab.wires[0].dropped() > 0


def test_a_link_with_a_delay_is_a_link(lab):
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    first, second = lab.link(a, m, delay=1 * MS), lab.link(m, b)
    assert [end.name for end in first + second] == ["pst-m", "pst-a", "pst-b", "pst-m"]
    assert [end.host for end in first] == [a, m]
    assert [str(end.addresses[0]) for end in first] == ["198.18.1.1/24", "198.18.1.2/24"]
    assert 2 <= rtt(a, b) < 4
    assert 2 <= rtt(a, b, version=6) < 4


def test_two_of_them_between_the_same_hosts(lab):
    a, b = lab.host("a"), lab.host("b")
    ends = [lab.link(a, b, delay=1 * MS) for _ in range(2)]
    assert [end.name for end, _ in ends] == ["pst-b", "pst-b.2"]
    assert [wire.host.name for wire in lab.wires] == ["a-b", "a-b.2"]


def test_a_bridge_may_be_at_its_end(lab):
    a, m, b = lab.host("a"), lab.bridge("m"), lab.host("b")
    lab.link(a, m, delay=1 * MS)
    lab.link(b, m, delay=2 * MS)
    assert 6 <= rtt(a, b) < 8


@pytest.mark.parametrize("wrong", [{"mtu": 9000}, {"tags": (100,)}, {"ethernet": False}])
def test_what_has_no_delay(lab, wrong):
    with pytest.raises(LabError, match=r"cannot link a and b so: .* Ethernet without tags, .* at most 1500$"):
        lab.link(lab.host("a"), lab.host("b"), delay=1 * MS, **wrong)


def test_a_limit_that_is_too_much(lab):
    with pytest.raises(LabError, match=r"a-b: .*: Invalid value for '--slots': 2000000 is not in the range"):
        lab.link(lab.host("a"), lab.host("b"), delay=1 * MS, limit=2_000_000)


def test_an_emulator_that_was_killed_is_told_of():
    def kill():
        with Lab() as lab:
            lab.link(lab.host("a"), lab.host("b"), delay=1 * MS)
            lab.wires[0].process.kill()
            lab.wires[0].process.wait()

    with pytest.raises(LabError, match=r"a-b: .* queue run netem .* ended too early"):
        kill()
