"""Which interfaces are ports of one bridge of the kernel's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.kernel.interface import Interface


def bridged(sources: Sequence[Interface], target: Interface) -> list[bytes] | None:
    """Return this host's own addresses on the bridge that they all are ports of; None if there is none."""
    from pyroute2 import IPRoute  # noqa: PLC0415  # slow to import

    with IPRoute() as netlink:
        found = cast("Any", netlink).get_links()
    links: dict[int, Any] = {link["index"]: link for link in found}
    ports = [links[interface.index] for interface in (*sources, target)]
    masters = {port.get("master") for port in ports}
    if len(masters) != 1 or None in masters:
        return None
    own = (*ports, links[masters.pop()])
    return [bytes.fromhex(link.get("address").replace(":", "")) for link in own]
