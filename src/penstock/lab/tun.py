"""Interfaces without Ethernet header: TUN devices, and a process that carries packets between them."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.lab.host import Host

_RELAY: Final = Path(__file__).with_name("relay.py")

# include/uapi/linux/if_tun.h
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000


def tun_pair(hosts: tuple[Host, Host], names: tuple[str, str]) -> None:
    """Make a TUN device on each host, and a process that carries packets between the two.

    The process ends when its standard input does.
    """
    descriptors = [_open_tun(host, name) for host, name in zip(hosts, names, strict=True)]
    command = [sys.executable, "-I", str(_RELAY), *map(str, descriptors)]
    hosts[0].popen(command, pass_fds=descriptors, stdin=subprocess.PIPE)
    for descriptor in descriptors:
        os.close(descriptor)


def _open_tun(host: Host, name: str) -> int:
    with host.enter():
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor
