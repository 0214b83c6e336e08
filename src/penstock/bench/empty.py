"""What programs that do nothing cost: the run-time statistics themselves."""

from __future__ import annotations

import time

import penstock
from penstock.lab import Host, Interface
from penstock.lang import TC_UNSPEC, XDP_PASS, Tc, Xdp, tc, xdp
from penstock.rtt.monitor import Ingress


@xdp
def ingress_xdp(packet: Xdp) -> int:  # noqa: ARG001  # a program is given a packet, whether it looks or not
    """Do nothing."""
    return XDP_PASS


@tc
def ingress(packet: Tc) -> int:  # noqa: ARG001  # the same
    """Do nothing."""
    return TC_UNSPEC


@tc
def egress(packet: Tc) -> int:  # noqa: ARG001  # the same
    """Do nothing."""
    return TC_UNSPEC


def empty_costs(host: Host, interface: Interface, where: Ingress, seconds: float) -> dict[str, float]:
    """Return what each program takes for a packet, ns, by the name of the one whose place it has."""
    arriving = ingress_xdp if where == "xdp" else ingress
    with host.enter(), penstock.load(arriving, egress) as loaded:
        if where == "xdp":
            loaded.attach_xdp(arriving, interface.index)
        else:
            loaded.attach_tc(arriving, interface.index, "ingress")
        loaded.attach_tc(egress, interface.index, "egress")
        time.sleep(seconds / 4)
        before = {program: loaded[program].statistics() for program in (arriving, egress)}
        time.sleep(seconds)
        return {each.name: (loaded[each].statistics() - before[each]).ns_per_run for each in before}
