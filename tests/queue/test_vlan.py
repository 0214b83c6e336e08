"""Queues on ports with VLANs: single frames, and the kernel's own TCP between network namespaces.

Not every kernel has VLAN interfaces (CONFIG_VLAN_8021Q): here other interfaces, with addresses, routes and
neighbours of their own, are taken for them.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from types import SimpleNamespace
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

import penstock
from penstock.errors import KernelError
from penstock.kernel.interface import find_interface
from penstock.lab import Host, Interface, Lab, bulk, ping
from penstock.lab.tags import tag_device
from penstock.lang import XDP_PASS, XDP_REDIRECT, Xdp, be32, helpers, u32, xdp
from penstock.queue import ports
from penstock.queue.forwarding import Passed, Router, passed
from penstock.queue.link import Rate
from penstock.queue.ports import Device, Ports, read_devices
from penstock.queue.session import LOSSES, SENT, Queue
from penstock.queue.vlans import Vlan, Vlans
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from tests.net import frames
from tests.queue.box import twice
from tests.queue.test_traffic import SLOTS, keeps_to

Tags = tuple[int, ...]
"""VLANs of a frame, the outermost first."""

PRIORITY = 0x6000
TAGS: tuple[Tags, ...] = ((), (10,), (5, 10))


def words(tags: Tags) -> list[int]:
    """What is in a frame: 802.1Q, and before that 802.1ad."""
    kinds = [frames.QINQ] * (len(tags) - 1) + [frames.VLAN] * bool(tags)
    return [kind << 16 | tag for kind, tag in zip(kinds, tags, strict=True)]


# Single frames.


class Direct:
    """In place of a queue: what it would be given is sent."""

    def __init__(self, ifindex: int) -> None:
        self.ifindex = ifindex
        self.frames = SimpleNamespace(size=1536)

    def arrive(self, packet: Xdp) -> u32:  # noqa: ARG002  # as a gate's
        return u32(helpers.redirect(self.ifindex))


class Crossing:
    """A router `m` with a port where frames arrive, one where they leave, and VLAN interfaces on both.

    Each is one end of a link to the host `h`, and has a subnet.
    """

    def __init__(self, lab: Lab) -> None:
        h, self.m = lab.host("h"), lab.router("m")
        links = [lab.link(h, self.m) for _ in range(2 * len(TAGS))]
        self.peers, ends = ([link[side] for link in links] for side in (0, 1))
        self.into, self.out = (
            dict(zip(TAGS, ends[::2], strict=True)),
            dict(zip(TAGS, ends[1::2], strict=True)),
        )
        self.towards = dict(zip(TAGS, self.peers[1::2], strict=True))
        for peer, end in links:
            for address in peer.addresses:
                state = {"lladdr": peer.mac, "state": "permanent"}
                self.m.netlink.neigh("add", ifindex=end.index, dst=str(address.ip), **state)
        vlans = {
            interfaces[tags].index: vlan(interfaces[()].index, words(tags))
            for interfaces in (self.into, self.out)
            for tags in TAGS[1:]
        }
        self.vlans = Vlans(vlans)
        gate: Any = Direct(self.out[()].index)
        local = [bytes.fromhex(self.into[()].mac.replace(":", ""))]
        router = Router(gate, local, vlans=self.vlans)

        @xdp
        def forward(packet: Xdp) -> int:
            return router.forward(packet)

        self.loaded = lab.enter_context(penstock.load(forward))
        self.vlans.write(self.loaded)
        self.program = self.loaded[forward]
        with self.m.enter():  # so that the kernel can run it as if a frame came in there
            self.loaded.attach_xdp(forward, self.into[()].name)

    def frame(self, came: list[int], leaves: Tags, version: int, ttl: int = 64) -> bytes:
        """A frame with priority tags to the far end of a link by which it would leave."""
        target = str(self.towards[leaves].addresses[version == 6].ip)
        source = "192.0.2.1" if version == 4 else "2001:db8::1"
        packet = frames.ip(source, target, frames.UDP, bytes(range(40)))
        tags = b"".join(struct.pack("!I", tag | PRIORITY) for tag in came)
        kind = struct.pack("!H", frames.IPV4 if version == 4 else frames.IPV6)
        return mac(self.into[()]) + b"\x02\0\0\0\0\7" + tags + kind + with_ttl(packet, ttl)

    def run(self, frame: bytes) -> Any:
        with self.m.enter():
            return self.program.test_run(frame, context={"ifindex": self.into[()].index})

    def passed(self) -> dict[str, int]:
        """By reason, but for multicast, which hosts send when they want to."""
        counts = {reason.name: int(self.loaded[passed][reason].sum()) for reason in Passed}
        return {name: count for name, count in counts.items() if count and name != "GROUP"}


def vlan(port: int, tags: list[int]) -> Vlan:
    outer, inner = [*tags, 0][:2]
    return Vlan(port=port, outer=be32(outer), inner=be32(inner))


def mac(interface: Interface) -> bytes:
    return bytes.fromhex(interface.mac.replace(":", ""))


def with_ttl(packet: bytes, ttl: int) -> bytes:
    """The packet with another TTL, and an IPv4 checksum that is right."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([ttl]) + packet[8:]
    header = packet[:8] + bytes([ttl]) + packet[9:10] + bytes(2) + packet[12:20]
    total = sum(struct.unpack("!10H", header))
    checksum = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    return header[:10] + struct.pack("!H", checksum) + header[12:] + packet[20:]


@pytest.fixture
def crossing(lab: Lab) -> Crossing:
    return Crossing(lab)


def test_tags_are_taken_off_put_on_and_changed(crossing: Crossing) -> None:
    """Whatever they are before and after, all else is as a router leaves it."""
    for came in TAGS:
        for leaves in TAGS:
            for version in (4, 6):
                frame = crossing.frame(words(came), leaves, version)
                result = crossing.run(frame)
                assert result.retval == XDP_REDIRECT, (came, leaves, version, crossing.passed())
                begins = 14 + 4 * len(came)
                tags = b"".join(struct.pack("!I", tag) for tag in words(leaves))
                addresses = mac(crossing.towards[leaves]) + mac(crossing.out[leaves])
                kind = frame[begins - 2 : begins]
                assert result.data_out == addresses + tags + kind + with_ttl(frame[begins:], 63)
    assert not crossing.passed()


def test_packets_come_in_by_the_vlan_interface(crossing: Crossing) -> None:
    """One that does not forward takes none; the others do."""
    crossing.m.sysctl(f"net/ipv4/conf/{crossing.into[10,].name}/forwarding", 0)
    for came in TAGS:
        frame = crossing.frame(words(came), (), 4)
        result = crossing.run(frame)
        assert (result.retval == XDP_REDIRECT) == (came != (10,))
    assert crossing.passed() == {"NO_ROUTE": 1}


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param([frames.VLAN << 16 | 11], id="another"),
        pytest.param([frames.VLAN << 16 | 5], id="the outer one alone"),
        pytest.param([frames.QINQ << 16 | 10], id="another kind"),
        pytest.param([frames.VLAN << 16], id="only a priority"),
        pytest.param([*words((10,)), *words((10,))], id="one more inside"),
        pytest.param([*words((5, 10)), *words((10,))], id="three"),
    ],
)
def test_unknown_vlans_go_to_the_stack(crossing: Crossing, tags: list[int]) -> None:
    frame = crossing.frame(tags, (), 4)
    result = crossing.run(frame)
    assert (result.retval, result.data_out) == (XDP_PASS, frame)
    assert crossing.passed() == {"NO_VLAN": 1}


def test_what_the_kernel_has_to_decide_keeps_its_tags(crossing: Crossing) -> None:
    last, cut = crossing.frame(words((10,)), (5, 10), 6, ttl=1), crossing.frame(words((10,)), (), 4)[:30]
    elsewhere = crossing.frame(words((10,)), (), 4).replace(
        crossing.towards[()].addresses[0].ip.packed, crossing.peers[0].addresses[0].ip.packed
    )
    for frame in (last, cut, elsewhere):
        result = crossing.run(frame)
        assert (result.retval, result.data_out) == (XDP_PASS, frame)
    assert crossing.passed() == {"NO_ROUTE": 1, "NOT_IP": 1, "ELSEWHERE": 1}


# What VLAN interfaces there are.


def described(**changes: Any) -> Device:
    return replace(Device(1, "eth0", bytes(6), True, "", None, None, 0, False), **changes)


def looked_at(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> dict[int, Device]:
    monkeypatch.setattr(ports, "read_devices", lambda: {device.index: device for device in devices})
    return {device.index: device for device in devices}


@dataclass(frozen=True)
class Attribute:
    """One of netlink's."""

    kind: int
    content: bytes

    def __bytes__(self) -> bytes:
        head = struct.pack("HH", 4 + len(self.content), self.kind)
        return head + self.content + bytes(-len(self.content) % 4)


def test_how_the_kernel_describes_them() -> None:
    """include/uapi/linux/if_link.h: IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO with IFLA_INFO_KIND and _DATA."""
    data = bytes(Attribute(5, struct.pack("!H", 0x88A8))) + bytes(Attribute(1, struct.pack("H", 10)))
    info = bytes(Attribute(1, b"vlan\0")) + bytes(Attribute(2, data))
    attributes = Attribute(3, b"eth0.10\0"), Attribute(1, bytes(range(6))), Attribute(5, struct.pack("I", 2))
    body = (
        struct.pack("BxHiII", 0, 1, 7, 1, 0) + b"".join(map(bytes, attributes)) + bytes(Attribute(18, info))
    )
    for elsewhere in (b"", bytes(Attribute(37, struct.pack("i", 0)))):  # IFLA_LINK_NETNSID
        whole = body + elsewhere
        message = ifinfmsg(struct.pack("IHHII", 16 + len(whole), 16, 0, 1, 0) + whole)
        message.decode()
        lower = None if elsewhere else 2
        assert ports.device(message) == Device(
            7, "eth0.10", bytes(range(6)), True, "vlan", None, lower, 0x88A8 << 16 | 10, False
        )


def test_only_interfaces_that_take_packets_count(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    port = described()
    one = described(index=2, name="eth0.10", kind="vlan", lower=1, tag=0x8100000A)
    two = replace(one, index=3, name="eth0.10.20", lower=2, tag=0x81000014, address=b"\2" + bytes(5))
    three = replace(one, index=4, name="three", lower=3)
    down, bridged, vrf = (
        replace(one, index=5, up=False),
        replace(one, index=6, master=8),
        replace(one, index=7, master=9),
    )
    masters = described(index=8, kind="bridge"), described(index=9, kind="vrf")
    far = replace(one, index=10, lower=None)
    looked_at(monkeypatch, port, one, two, three, down, bridged, vrf, *masters, far)
    found = Ports([ports_interface(port)])
    vlans = found.vlans([])
    assert vlans is not None
    assert {index: bytes(place) for index, place in vlans.interfaces.items()} == {
        2: bytes(vlan(1, [0x8100000A])),
        3: bytes(vlan(1, [0x8100000A, 0x81000014])),
        7: bytes(vlan(1, [0x8100000A])),
    }
    assert found.addresses() == [bytes(6), b"\2" + bytes(5)]


def ports_interface(device: Device) -> Any:
    return SimpleNamespace(index=device.index, name=device.name)


def test_vlan_interfaces_cannot_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = described()
    one = described(index=2, name="eth0.10", kind="vlan", lower=1)
    two = described(index=3, name="eth0.10.20", kind="vlan", lower=2)
    far = described(index=4, name="v", kind="vlan")
    looked_at(monkeypatch, port, one, two, far)
    for device, name in ((one, "name eth0"), (two, "name eth0"), (far, "name the one below")):
        with pytest.raises(KernelError, match=f"at {device.name}, a VLAN interface: {name}"):
            Ports([ports_interface(port), ports_interface(device)])


def test_a_bridge_that_filters_vlans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    two = described(index=1, master=3), described(index=2, master=3)
    bridge = described(index=3, name="br0", kind="bridge")
    looked_at(monkeypatch, *two, bridge)
    assert Ports([ports_interface(port) for port in two]).bridge() == 3
    looked_at(monkeypatch, *two, replace(bridge, kind="vrf"))
    assert Ports([ports_interface(port) for port in two]).bridge() is None
    looked_at(monkeypatch, *two, replace(bridge, filters=True))
    with pytest.raises(KernelError, match="ip link set br0 type bridge vlan_filtering 0"):
        Ports([ports_interface(port) for port in two]).bridge()


def test_tags_that_hardware_takes_off_are_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A veth has these features as well, so here it is taken for hardware."""
    router = lab.router("m")
    _, end = lab.link(lab.host("h"), router)
    with router.enter():
        port = replace(read_devices()[end.index], kind="")
        above = replace(port, index=99, name="above", kind="vlan", lower=port.index, tag=0x81000001)
        source = [find_interface(end.name)]
        for device in (port, replace(port, kind="veth")):
            looked_at(monkeypatch, device)
            assert Ports(source).vlans(source) is None
        looked_at(monkeypatch, port, above)
        command = f"ethtool -K {end.name} rx-vlan-hw-parse off rx-vlan-stag-hw-parse off"
        with pytest.raises(KernelError, match=command):
            Ports(source).vlans(source)
        router.run(command.split())
        assert Ports(source).vlans(source) is not None


# Real traffic.


class Trunk:
    """Hosts around the router or bridge `m`, by links with the tags that are given."""

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch, how: str, *links: Tags) -> None:
        self.lab = lab
        self.m: Host = getattr(lab, how)("m")
        self.above: dict[int, tuple[Interface, Tags]] = {}
        """Interfaces of `m` to be taken for VLAN interfaces: on what, and with which tags."""
        monkeypatch.setattr(ports, "read_devices", self.devices)
        self.hosts: list[Host] = []
        self.ports: list[Interface] = []
        for number, tags in enumerate(links):
            host = lab.host(f"h{number}")
            _, end = lab.link(host, self.m, tags=tags)
            far(host.interfaces[0])
            self.hosts.append(host)
            self.ports.append(self.port_of(end, tags) if how == "router" else end)

    def port_of(self, end: Interface, tags: Tags) -> Interface:
        if not tags:
            return end
        port = self.m.interfaces[self.m.interfaces.index(end) - 1]
        self.above[end.index] = port, tags
        return port

    def devices(self) -> dict[int, Device]:
        found = read_devices()
        for index, (port, tags) in self.above.items():
            below = port.index
            for level, tag in enumerate(words(tags)[:-1]):
                between = 1000 * index + level
                found[between] = described(index=between, kind="vlan", lower=below, tag=tag)
                below = between
            found[index] = replace(found[index], kind="vlan", lower=below, tag=words(tags)[-1])
        return found

    @contextmanager
    def queue(self, scheduler: type = Fifo, rate: int | None = None, slots: int = 1000) -> Iterator[Queue]:
        """From the first link to the last one."""
        source, target = self.ports[0].name, self.ports[-1].name
        with self.m.enter(), Queue([source], target, scheduler, rate=Rate(rate), slots=slots) as queue:
            yield queue


def far(interface: Interface) -> None:
    """Have the far end of a link send finished packets with their tags, and take redirected frames."""
    interface.offload(tx=False, tso=False, gso=False, gro=True, txvlan=False)


def sent(queue: Queue) -> int:
    return sum(getattr(queue.counts(), name).bytes for name in SENT)


def carry(queue: Queue, client: Host, server: Host, version: int) -> None:
    """All data of a TCP transfer passes the queue, and arrives whole."""
    assert len(ping(client, server, count=2, version=version).rtts_ms) == 2  # now neighbours are known
    before, bad = sent(queue), checksum_errors(server)
    with bulk(client, server, flows=2, seconds=0.5, version=version) as transfer:
        totals = transfer.wait()
    assert totals.bytes_sent > 100_000
    assert sent(queue) - before > totals.bytes_sent
    assert not any(getattr(queue.counts(), name).packets for name in LOSSES)
    assert checksum_errors(server) == bad


def checksum_errors(host: Host) -> int:
    names, values = (line.split() for line in host.run(["grep", "^Tcp:", "/proc/net/snmp"]).splitlines())
    return int(values[names.index("InCsumErrors")])


def hops_left(client: Host, server: Host, version: int) -> int:
    """The hop limit with which the answer to a ping comes, through the queue to `server`."""
    output = server.run(["ping", f"-{version}", "-n", "-c", "1", client.address(version)])
    return int(output.split("ttl=")[1].split()[0])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("came", "leaves"),
    [((10,), (10,)), ((10,), (20,)), ((10,), ()), ((), (20,)), ((5, 10), (20,)), ((), (6, 20))],
)
def test_a_router_of_vlans(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, came: Tags, leaves: Tags, version: int
) -> None:
    trunk = Trunk(lab, monkeypatch, "router", came, leaves)
    client, server = trunk.hosts
    with trunk.queue() as queue:
        carry(queue, client, server, version)
        before = sent(queue)
        assert hops_left(client, server, version) == 63
        assert sent(queue) > before
        assert queue.statistics()["passed"]["no_vlan"] == 0


def test_packets_that_wait_have_their_tags(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in frames of other packets, longer or shorter, and in the drain's."""
    trunk = Trunk(lab, monkeypatch, "router", (10,), (20,))
    client, server = trunk.hosts
    with trunk.queue(FqCodel, 5_000_000) as queue:
        carry(queue, client, server, 4)
        counts = queue.counts()
        assert counts.drained.packets > 0
        assert counts.drained.packets + counts.swapped.packets > counts.bypassed.packets


@pytest.mark.parametrize("how", ["router", "bridge"])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("bits_per_second", SLOTS)
def test_tcp_with_tags_gets_what_the_link_carries(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, bits_per_second: int, version: int, how: str
) -> None:
    trunk = Trunk(lab, monkeypatch, how, (10,), (10,))
    with (
        trunk.queue(Fifo, bits_per_second, SLOTS[bits_per_second]) as queue,
        bulk(*trunk.hosts, flows=4, seconds=20, version=version),
    ):
        time.sleep(0.5)
        twice(lambda: keeps_to(bits_per_second, queue))


@pytest.mark.parametrize("version", [4, 6])
def test_a_router_on_a_stick(lab: Lab, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Packets leave where they came, in another VLAN; a switch has hosts in both."""
    trunk = Trunk(lab, monkeypatch, "router")
    switch, hosts = lab.bridge("s"), [lab.host("h0"), lab.host("h1")]
    subnets = [
        [(f"198.18.{n}.1/24", f"198.18.{n}.2/24"), (f"2001:2:0:{n}::1/64", f"2001:2:0:{n}::2/64")]
        for n in (1, 2)
    ]
    for host, tags, pairs in zip(hosts, [(10,), (20,)], subnets, strict=True):
        lab.link(host, switch, tags=tags, addresses=pairs)
        far(host.interfaces[0])
        for _, router in pairs:
            host.route("default", via=router.split("/")[0])
    _, port = lab.link(trunk.m, switch, addresses=[])
    far(port)
    trunk.ports.append(trunk.m.interfaces[0])
    for family in ("ipv4", "ipv6"):  # what comes in without a tag is not forwarded
        trunk.m.sysctl(f"net/{family}/conf/{trunk.ports[0].name}/forwarding", 0)
    for tags, pairs in zip([(10,), (20,)], subnets, strict=True):
        own = [ip_interface(router) for _, router in pairs]
        device = lab.enter_context(tag_device(trunk.ports[0], tags, own))
        trunk.above[device.index] = trunk.ports[0], tags
    with trunk.queue() as queue:
        carry(queue, *hosts, version)
        assert hops_left(*hosts, version) == 63


@pytest.mark.parametrize("tags", [(10,), (5, 10)])
@pytest.mark.parametrize("version", [4, 6])
def test_a_bridge_leaves_tags_as_they_are(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tags: Tags, version: int
) -> None:
    trunk = Trunk(lab, monkeypatch, "bridge", tags, tags)
    client, server = trunk.hosts
    with trunk.queue() as queue:
        carry(queue, client, server, version)
        assert hops_left(client, server, version) == 64


def test_a_vlan_without_an_interface_is_the_stacks(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one, in fact, and forwards: but not through the queue, which began without knowing it."""
    trunk = Trunk(lab, monkeypatch, "router", (10,), ())
    client, server = trunk.hosts
    trunk.above.clear()
    with trunk.queue() as queue:
        assert len(ping(client, server, count=5).rtts_ms) == 5
        assert sent(queue) == 0
        assert queue.statistics()["passed"]["no_vlan"] >= 5
