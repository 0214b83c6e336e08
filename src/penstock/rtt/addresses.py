"""The addresses of this host, for programs that leave out what is sent to it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import numpy as np
from pyroute2 import IPRoute

from penstock.kernel.hash import Hash
from penstock.net.ip import Address

_MAPPED = bytes(10) + b"\xff\xff"


class OwnAddresses:
    """A map of the programs that holds them, kept up to date by `refresh`."""

    def __init__(self, table: Hash[Address, int]) -> None:
        self._table = table
        self._known: set[bytes] = set()

    def refresh(self) -> None:
        """Enter what is new, remove what is gone. KernelError if there is no room."""
        found = _addresses()
        for address in self._known - found:
            del self._table[_key(address)]
        for address in found - self._known:
            self._table[_key(address)] = 1
        self._known = found


def _addresses() -> set[bytes]:
    """Return all addresses in this network namespace, 16 bytes each, IPv4 mapped."""
    netlink: Any
    with IPRoute() as netlink:
        texts = [each.get("IFA_LOCAL") or each.get("IFA_ADDRESS") for each in netlink.get_addr()]
    packed = [ip_address(text).packed for text in texts]
    return {_MAPPED + address if len(address) == 4 else address for address in packed}


def _key(address: bytes) -> Address:
    return Address.view(np.frombuffer(address, Address.__layout__.dtype)[0:1].reshape(()))
