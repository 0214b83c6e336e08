"""Devices with a user-space end: interfaces without Ethernet header, and VLAN tags where 8021q is missing."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.lab.host import Host, Interface, IpInterface

if TYPE_CHECKING:
    from collections.abc import Sequence

_RELAY: Final = Path(__file__).with_name("relay.py")

# include/uapi/linux/if_tun.h, if_packet.h and if_ether.h
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_SOL_PACKET: Final = 263
_PACKET_AUXDATA: Final = 8
_PACKET_IGNORE_OUTGOING: Final = 23
_ETH_P_ALL: Final = 0x0003
_TAG_LENGTH: Final = 4


def tun_pair(hosts: tuple[Host, Host], names: tuple[str, str]) -> None:
    """Make a TUN device on each host, and a process that carries packets between the two."""
    left, right = (_open_tun(host, name, _IFF_TUN) for host, name in zip(hosts, names, strict=True))
    _start_relay(hosts[0], (left, right), ())


def tag_device(parent: Interface, tags: Sequence[int], addresses: Sequence[IpInterface]) -> Interface:
    """Make a device above `parent` (a veth) whose frames carry the VLAN tags on it, outermost first.

    It is a TAP device, and a process that adds and takes off the tags: what goes over the veth is
    the kernel's own TCP, tagged. The device's MTU is smaller than the veth's by the tags.
    """
    host = parent.host
    # Neither may the veth speak untagged IPv6, nor may packets be merged into ones too long for the device.
    host.sysctl(f"net/ipv6/conf/{parent.name}/disable_ipv6", 1)
    parent.offload(gro=False)
    name = ".".join([parent.name, *map(str, tags)])[:15]
    tap = _open_tun(host, name, _IFF_TAP)
    with host.enter():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
        wire.bind((parent.name, _ETH_P_ALL))
        wire.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        wire.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    mtu: int = host.netlink.get_links(parent.index)[0].get("mtu")
    device = Interface.up(host, name, addresses, mtu=mtu - _TAG_LENGTH * len(tags), address=parent.mac)
    _start_relay(host, (tap, wire.detach()), tags)
    return device


def _open_tun(host: Host, name: str, mode: int) -> int:
    with host.enter():
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), mode | _IFF_NO_PI))
    return descriptor


def _start_relay(host: Host, descriptors: tuple[int, int], tags: Sequence[int]) -> None:
    """Hand the descriptors to a relay process, which ends when its standard input does."""
    command = [sys.executable, "-I", str(_RELAY), *map(str, descriptors), *map(str, tags)]
    host.popen(command, pass_fds=descriptors, stdin=subprocess.PIPE)
    for descriptor in descriptors:
        os.close(descriptor)
