"""The interfaces that a queue forwards between: their addresses, and whether a bridge joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from penstock.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.kernel.interface import Interface


class Ports:
    """Interfaces of the calling thread's network namespace, as they are now."""

    def __init__(self, interfaces: Sequence[Interface]) -> None:
        from pyroute2 import IPRoute  # noqa: PLC0415  # slow to import

        with IPRoute() as netlink:
            found: Any = cast("Any", netlink).get_links()
        self._links: dict[int, Any] = {link["index"]: link for link in found}
        self._ports = [self._links[interface.index] for interface in interfaces]
        self._names = ", ".join(str(interface) for interface in interfaces)

    def bridge(self) -> int | None:
        """Return the bridge whose two ports they are; None if they are ports of none.

        KernelError if it has other ports: a frame for one of those would be sent to the wrong one.
        """
        masters = {port.get("master") for port in self._ports}
        if len(masters) != 1 or None in masters:
            return None
        (bridge,) = masters
        ports = [link for link in self._links.values() if link.get("master") == bridge]
        if len(ports) != 2:
            raise KernelError(
                f"cannot queue between {self._names}: their bridge has {len(ports)} ports; it must have two"
            )
        return bridge

    def addresses(self) -> list[bytes]:
        """Return the Ethernet addresses to which frames are this host's own."""
        bridge = self.bridge()
        own = [*self._ports, *([self._links[bridge]] if bridge is not None else [])]
        return [bytes.fromhex((link.get("address") or "").replace(":", "")) for link in own]
