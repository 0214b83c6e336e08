"""A host of the lab: its processes, addresses and routes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyroute2 import IPRoute

from penstock.lab.namespace import LabError, Namespace
from penstock.lab.offload import set_offloads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

IpInterface = IPv4Interface | IPv6Interface
Role = Literal["host", "router", "bridge"]


class Host:
    """A network namespace with a name: an end host, a router that forwards, or a bridge. Made by `Lab`."""

    def __init__(self, name: str, namespace: Namespace, role: Role) -> None:
        self.name = name
        self.role: Role = role
        self.namespace = namespace
        self.interfaces: list[Interface] = []
        self._processes: list[subprocess.Popen[str]] = []
        with self.enter():
            self.netlink: Any = IPRoute()
        self.netlink.link("set", index=1, state="up")
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)  # addresses are unique, and needed at once
        self.sysctl("net.ipv4.tcp_no_metrics_save", 1)  # connections do not begin with what others learnt
        if role == "router":
            self.sysctl("net.ipv4.ip_forward", 1)
            self.sysctl("net.ipv6.conf.all.forwarding", 1)

    def __repr__(self) -> str:
        return f"<{self.role} {self.name}>"

    def enter(self) -> AbstractContextManager[None]:
        """Have the calling thread use this host's network: sockets made within belong to it."""
        return self.namespace.enter()

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a process on this host. The lab ends it, at the latest, when it ends itself."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = self.namespace.popen(arguments, **options)
        self._processes.append(process)
        return process

    def run(self, arguments: Sequence[str], *, timeout: float = 60) -> str:
        """Run a command and return what it printed; `LabError` if it fails or takes over `timeout` s."""
        process = self.popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        command = f"{self.name}: {' '.join(arguments)}"
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            message = f"{command}: not finished after {timeout:g} s"
            raise LabError(message) from error
        if process.returncode != 0:
            reason = (errors or output).strip().splitlines()[-1:] or ["no message"]
            message = f"{command}: exit status {process.returncode}: {reason[0]}"
            raise LabError(message)
        return output

    def address(self, version: Literal[4, 6] = 4) -> str:
        """Return the first address of the IP version; `LabError` if there is none yet."""
        for interface in self.interfaces:
            for address in interface.addresses:
                if address.version == version:
                    return str(address.ip)
        message = f"{self.name} has no IPv{version} address: link it first"
        raise LabError(message)

    def route(self, destination: str, via: str) -> None:
        """Send packets for the destination (a prefix, or `default`) to the neighbour `via`."""
        self.netlink.route("add", dst=destination, gateway=via)

    def sysctl(self, name: str, value: int | str) -> None:
        """Write a parameter of this host's network: `net.ipv4.…`, or with slashes where a name has dots."""
        with self.enter():
            path = name if "/" in name else name.replace(".", "/")
            Path("/proc/sys", path).write_text(str(value), encoding="ascii")

    def close(self) -> None:
        """End the host's processes and let go of its network."""
        for process in self._processes:
            _end(process)
        self.netlink.close()


@dataclass(frozen=True)
class Interface:
    """One end of a link. `mac` is empty where there is no Ethernet header."""

    host: Host = field(repr=False)
    name: str
    index: int
    mac: str = ""
    addresses: tuple[IpInterface, ...] = ()

    @classmethod
    def up(cls, host: Host, name: str, addresses: Sequence[IpInterface], **attributes: Any) -> Interface:
        """Give an existing device its addresses and netlink attributes (mtu, address, ...), and set it up."""
        index: int = host.netlink.link_lookup(ifname=name)[0]
        host.netlink.link("set", index=index, state="up", **attributes)
        for address in addresses:
            host.netlink.addr(
                "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
            )
        link: Any = host.netlink.get_links(index)[0]
        interface = cls(host, name, index, link.get("address") or "", tuple(addresses))
        host.interfaces.append(interface)
        return interface

    def offload(self, **features: bool) -> None:
        """Switch offloads as `ethtool -K` does, by its short names: tx, rx, tso, gso, gro, txvlan."""
        with self.host.enter():
            set_offloads(self.name, features)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
