"""What netlink, and not penstock, says of an interface in the current network namespace."""

from __future__ import annotations

from penstock.lab import Interface


def xdp_programs(interface: Interface) -> set[int]:
    """Return the numbers of the XDP programs on an interface."""
    link = interface.host.netlink.get_links(interface.index)[0]
    names = ("IFLA_XDP_PROG_ID", "IFLA_XDP_DRV_PROG_ID", "IFLA_XDP_SKB_PROG_ID", "IFLA_XDP_HW_PROG_ID")
    return {number for name in names if (number := link.get_nested("IFLA_XDP", name))}


def tc(interface: Interface, *arguments: str) -> str:
    """Run `tc` about an interface."""
    return interface.host.run(["tc", *arguments])


def qdiscs(interface: Interface) -> str:
    return tc(interface, "qdisc", "show", "dev", interface.name)


def filters(interface: Interface, direction: str) -> str:
    return tc(interface, "filter", "show", "dev", interface.name, direction)
