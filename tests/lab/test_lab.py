"""Hosts, links, addresses and routes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.lab import Lab, ping
from penstock.lab.namespace import LabError


@pytest.mark.parametrize("version", [4, 6])
def test_a_router_forwards(middlebox, version):
    assert len(ping(middlebox.a, middlebox.b, count=3, version=version).rtts_ms) == 3


def test_addresses_may_be_given(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, addresses=[("192.0.2.1/30", "192.0.2.2/30"), ("2001:db8::1/64", "2001:db8::2/64")])
    assert (a.address(4), b.address(6)) == ("192.0.2.1", "2001:db8::2")
    assert ping(a, b, count=1, version=6).rtts_ms


def test_routes_beyond_the_first_router(lab):
    a, m, n, b = lab.host("a"), lab.router("m"), lab.router("n"), lab.host("b")
    lab.link(a, m)
    _, towards_m = lab.link(m, n)
    _, far = lab.link(n, b)
    m.route(str(far.addresses[0].network), via=str(towards_m.addresses[0].ip))
    n.route("default", via=m.interfaces[1].addresses[0].ip.compressed)
    assert ping(a, b, count=1).rtts_ms


def test_two_links_between_the_same_hosts(lab):
    a, b = lab.host("a"), lab.host("b")
    first, _ = lab.link(a, b)
    second, _ = lab.link(a, b)
    assert (first.name, second.name) == ("pst-b", "pst-b.2")


def test_mtu(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, mtu=9000)
    assert ping(a, b, count=1, size=8972).rtts_ms
    assert "mtu 9000" in a.run(["ip", "link", "show", "pst-b"])


def test_entering_a_host_is_for_this_thread_and_a_while(middlebox):
    before = socket.if_nameindex()
    with middlebox.m.enter():
        assert {name for _, name in socket.if_nameindex()} == {"lo", "pst-a", "pst-b"}
    assert socket.if_nameindex() == before


def test_processes_see_their_own_devices_in_sysfs(middlebox):
    assert middlebox.a.run(["ls", "/sys/class/net"]).split() == ["lo", "pst-m"]


def test_processes_of_a_host_share_a_bpf_file_system(lab):
    a, b = lab.host("a"), lab.host("b")
    a.run(["mkdir", "/sys/fs/bpf/pinned"])
    assert "pinned" in a.run(["ls", "/sys/fs/bpf"]).split()
    assert "pinned" not in b.run(["ls", "/sys/fs/bpf"]).split()
    assert not Path("/sys/fs/bpf/pinned").exists()


def test_a_failing_command_says_which_and_why(lab):
    with pytest.raises(LabError, match=r"^a: ls /nowhere: exit status 2: ls: cannot access"):
        lab.host("a").run(["ls", "/nowhere"])


def test_a_command_that_does_not_end(lab):
    with pytest.raises(LabError, match=r"a: sleep 60: not finished after 0.1 s"):
        lab.host("a").run(["sleep", "60"], timeout=0.1)


def test_processes_end_with_the_lab():
    with Lab() as lab:
        process = lab.host("a").popen(["sleep", "600"])
    assert process.returncode is not None


@pytest.mark.parametrize("name", ["with-dash", "much2long", ""])
def test_names_that_do_not_fit(lab, name):
    with pytest.raises(LabError, match="cannot name a host"):
        lab.host(name)


def test_a_name_twice(lab):
    lab.host("a")
    with pytest.raises(LabError, match="there is a host a"):
        lab.host("a")


def test_links_that_make_no_sense(lab):
    m, n, a = lab.bridge("m"), lab.bridge("n"), lab.host("a")
    with pytest.raises(LabError, match="bridges take hosts"):
        lab.link(m, n)
    with pytest.raises(LabError, match="tags take Ethernet"):
        lab.link(a, lab.host("b"), tags=(100,), ethernet=False)
    with pytest.raises(LabError, match="frames take at most 2 tags"):
        lab.link(a, lab.host("c"), tags=(100, 200, 300))


def test_no_address_yet(lab):
    with pytest.raises(LabError, match="a has no IPv6 address"):
        lab.host("a").address(6)


def test_the_missing_capability_is_named():
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c"]
    command.append("from penstock.lab import Lab\nwith Lab() as lab: lab.host('a')")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.endswith("-a: needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root")


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ({"tx": False}, "tx-checksumming: off"),
        ({"gro": True}, "generic-receive-offload: on"),
        ({"tso": False}, "tcp-segmentation-offload: off"),
        ({"gso": False}, "generic-segmentation-offload: off"),
        ({"txvlan": False}, "tx-vlan-offload: off"),
        ({"txvlan": False}, "tx-vlan-stag-hw-insert: off"),
    ],
    ids=["tx", "gro", "tso", "gso", "txvlan", "stag"],
)
def test_offloads_as_ethtool_shows_them(lab, setting, shown):
    a, b = lab.host("a"), lab.host("b")
    end, _ = lab.link(a, b)
    assert shown not in a.run(["ethtool", "-k", end.name])
    end.offload(**setting)
    assert shown in a.run(["ethtool", "-k", end.name])


def test_an_unknown_offload(lab):
    end, _ = lab.link(lab.host("a"), lab.host("b"))
    with pytest.raises(LabError, match="no offload named warp: there are rx, tx, tso, gso, gro, txvlan"):
        end.offload(warp=True)


def test_the_machine_itself_sees_nothing_of_links(middlebox):
    assert middlebox.a.address()
    assert not any(name.startswith("pst") for _, name in socket.if_nameindex())
    assert os.stat("/proc/self/ns/net").st_ino not in {  # noqa: PTH116 (a namespace, not a path)
        os.fstat(host.namespace.descriptor).st_ino for host in (middlebox.a, middlebox.m, middlebox.b)
    }
