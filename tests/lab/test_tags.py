"""Links whose frames carry VLAN tags."""

import socket
import struct
from ipaddress import ip_interface

import pytest

from penstock.lab.tags import tag_device
from tests.net.frames import QINQ, VLAN

EXPERIMENTAL = 0x88B5  # an EtherType for local use, IEEE 802
PRIORITY = 0x6000

FRAMES = {
    "none": (),
    "10": ((VLAN, 10),),
    "11": ((VLAN, 11),),
    "5": ((VLAN, 5),),
    "10 of a service": ((QINQ, 10),),
    "5 of a service": ((QINQ, 5),),
    "5 10": ((QINQ, 5), (VLAN, 10)),
    "5 11": ((QINQ, 5), (VLAN, 11)),
    "6 10": ((QINQ, 6), (VLAN, 10)),
    "5 10 of customers": ((VLAN, 5), (VLAN, 10)),
    "5 10 of services": ((QINQ, 5), (QINQ, 10)),
}


def frame(name, priority):
    tags = b"".join(struct.pack("!HH", kind, vlan | priority) for kind, vlan in FRAMES[name])
    return b"\xff" * 6 + b"\2" * 6 + tags + struct.pack("!H", EXPERIMENTAL) + name.encode().ljust(46, b"\0")


@pytest.mark.parametrize("tags", [(10,), (5, 10)])
def test_frames_with_other_tags_do_not_come_in(lab, tags):
    a, b = lab.host("a"), lab.host("b")
    _, device = lab.link(a, b, tags=tags)
    with b.enter():
        there = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        there.bind((device.name, EXPERIMENTAL))
        there.settimeout(2)
    with a.enter():
        here = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        here.bind((a.interfaces[0].name, EXPERIMENTAL))
    own = " ".join(map(str, tags))
    with here, there:
        for name in [*FRAMES.keys() - {own}, own]:
            for priority in (0, PRIORITY):
                here.send(frame(name, priority))
        came = [there.recv(100).rstrip(b"\0").decode() for _ in range(2)]
    assert came == [own, own]


def test_devices_side_by_side(lab):
    """A subnet for each on one link; a full packet passes."""
    ends = lab.link(lab.host("a"), lab.host("b"), addresses=[])
    for tags, v4, v6 in (
        ((10,), "192.0.2", "2001:db8:1:"),
        ((20,), "198.51.100", "2001:db8:2:"),
        ((5, 10), "203.0.113", "2001:db8:3:"),
    ):
        for end, last in zip(ends, (1, 2), strict=True):
            own = [ip_interface(f"{v4}.{last}/24"), ip_interface(f"{v6}:{last}/64")]
            lab.enter_context(tag_device(end, tags, own))
        room = 1500 - 4 * len(tags)
        ping = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s"]
        ends[0].host.run([*ping, str(room - 20 - 8), f"{v4}.2"])
        ends[0].host.run([*ping, str(room - 40 - 8), f"{v6}:2"])
