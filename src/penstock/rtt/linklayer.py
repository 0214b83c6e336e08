"""Whether packets of an interface begin with an Ethernet header."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import Final

from penstock.errors import KernelError
from penstock.kernel.interface import Interface

_SIOCGIFHWADDR: Final = 0x8927
_REQUEST: Final = struct.Struct("=16sH22x")  # struct ifreq: name, then a sockaddr that begins with its type

# include/uapi/linux/if_arp.h
_ETHERNET: Final = {1: "ETHER", 772: "LOOPBACK"}
_IP: Final = {
    512: "PPP",
    519: "RAWIP",
    768: "TUNNEL",
    769: "TUNNEL6",
    776: "SIT",
    778: "IPGRE",
    823: "IP6GRE",
    0xFFFE: "NONE",
}


def has_ethernet(interface: Interface) -> bool:
    """Return whether there is an Ethernet header, or none. KernelError if there is something else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        answer = fcntl.ioctl(anything, _SIOCGIFHWADDR, _REQUEST.pack(interface.name.encode(), 0))
    kind: int = _REQUEST.unpack(answer)[1]
    if kind not in _ETHERNET and kind not in _IP:
        raise KernelError(
            f"cannot measure on {interface}: its link type {kind} is neither Ethernet nor plain IP"
        )
    return kind in _ETHERNET
