"""The interfaces that a queue forwards between: addresses, VLANs, and a bridge that joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.errors import KernelError
from penstock.lang import be32
from penstock.queue.vlans import Vlan, Vlans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from penstock.kernel.interface import Interface

_UP: Final = 1  # IFF_UP
_STRIPPING: Final = ("rx-vlan-hw-parse", "rx-vlan-stag-hw-parse")


@dataclass(frozen=True)
class Device:
    """An interface as the kernel describes it."""

    index: int
    name: str
    address: bytes
    up: bool
    kind: str
    """What it was made as: vlan, bridge, veth …; empty for hardware."""
    master: int | None
    lower: int | None
    """Of a VLAN interface: the one below, if that is in this network namespace."""
    tag: int
    """Of a VLAN interface: the EtherType and the VLAN of its frames on that one, 16 bits each."""
    filters: bool
    """Of a bridge: it decides by VLANs what passes (vlan_filtering)."""


def read_devices() -> dict[int, Device]:
    """Return the interfaces of the calling thread's network namespace, by index."""
    from pyroute2 import IPRoute  # noqa: PLC0415  # slow to import

    with IPRoute() as netlink:
        links: Iterable[Any] = cast("Any", netlink).get_links()
        return {link["index"]: device(link) for link in links}


def device(link: Any) -> Device:
    """Return what one of netlink's messages says."""
    kind = link.get(("linkinfo", "kind")) or ""
    is_here = link.get("link_netnsid") is None
    protocol, identifier = (link.get(("linkinfo", "data", name)) for name in ("vlan_protocol", "vlan_id"))
    tag = (protocol or 0) << 16 | (identifier or 0)
    return Device(
        link["index"],
        link.get("ifname"),
        bytes.fromhex((link.get("address") or "").replace(":", "")),
        bool(link["flags"] & _UP),
        kind,
        link.get("master"),
        link.get("link") if kind == "vlan" and is_here else None,
        tag,
        bool(link.get(("linkinfo", "data", "br_vlan_filtering"))),
    )


class Ports:
    """Interfaces of the calling thread's network namespace, as they are now."""

    def __init__(self, interfaces: Sequence[Interface]) -> None:
        """Look at them. KernelError if one is a VLAN interface: XDP is below it."""
        self._devices = read_devices()
        self._ports = [self._devices[interface.index] for interface in interfaces]
        self._names = ", ".join(str(interface) for interface in interfaces)
        for port in self._ports:
            if port.kind == "vlan":
                below = self._tagged_by(port)[0].name
                name = f"{below}, whose packets are its own" if below != port.name else "the one below"
                raise KernelError(f"cannot queue at {port.name}, a VLAN interface: name {name}")

    def _tagged_by(self, device: Device) -> tuple[Device, list[int]]:
        """What a VLAN interface is on in the end, as far as it can be seen, and the tags, the outer first."""
        tags: list[int] = []
        while device.lower in self._devices:
            tags.insert(0, device.tag)
            device = self._devices[device.lower]
        return device, tags

    def bridge(self) -> int | None:
        """Return the bridge whose two ports they are; None if they are ports of none.

        KernelError if it has other ports, since frames for those would be sent to the wrong one, or if it
        filters VLANs, since it would not be asked.
        """
        bridge = self._ports[0].master
        if bridge is None or any(port.master != bridge for port in self._ports):
            return None
        if self._devices[bridge].kind != "bridge":  # a VRF, say
            return None
        ports = [device for device in self._devices.values() if device.master == bridge]
        if len(ports) != 2:
            raise KernelError(
                f"cannot queue between {self._names}: their bridge has {len(ports)} ports; it must have two"
            )
        if self._devices[bridge].filters:
            command = f"ip link set {self._devices[bridge].name} type bridge vlan_filtering 0"
            raise KernelError(f"cannot queue between {self._names}: their bridge filters VLANs: {command}")
        return bridge

    def addresses(self) -> list[bytes]:
        """Return the Ethernet addresses to which frames are this host's own, those of VLANs included."""
        bridge = self.bridge()
        own = [*self._ports, *([self._devices[bridge]] if bridge is not None else [])]
        above = [device for device in self._devices.values() if self._tagged_by(device)[0] in own]
        return [*dict.fromkeys(device.address for device in [*own, *above])]

    def vlans(self, sources: Iterable[Interface]) -> Vlans | None:
        """Return the VLAN interfaces on the ports that are up; None if there are none.

        KernelError if a source's hardware takes off tags that matter: in XDP they would be lost.
        """
        found = dict(self._vlans())
        tagged = {int(vlan.port) for vlan in found.values()}
        for source in sources:
            if self.bridge() is not None or source.index in tagged:
                _check_tags(self._devices[source.index])
        return Vlans(found) if found else None

    def _vlans(self) -> Iterator[tuple[int, Vlan]]:
        """Those that an IP packet may come in by: a bridge above one would have it instead."""
        for device in self._devices.values():
            port, tags = self._tagged_by(device)
            routed = device.master is None or self._devices[device.master].kind == "vrf"
            if device.up and routed and port in self._ports and 1 <= len(tags) <= 2:
                outer, inner = (*map(be32, tags), be32(0))[:2]
                yield device.index, Vlan(port=port.index, outer=outer, inner=inner)


def _check_tags(device: Device) -> None:
    """KernelError if an interface hands frames over without their tags."""
    from pyroute2.ethtool.ioctl import IoctlEthtool  # noqa: PLC0415  # slow to import

    if device.kind == "veth":  # has the features, but takes off no tag that is in a frame
        return
    ethtool: Any = IoctlEthtool(device.name)
    try:
        features = ethtool.get_features()
        on = [name for name in _STRIPPING if features.is_active(name)]
    finally:
        ethtool.close()
    if on:
        command = f"ethtool -K {device.name} {' '.join(f'{name} off' for name in on)}"
        raise KernelError(f"cannot queue from {device.name}, which takes VLAN tags off frames: {command}")
