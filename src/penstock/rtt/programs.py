"""The programs of `penstock rtt`, for one set of options."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.lang import TC_UNSPEC, XDP_PASS, Tc, Xdp, tc, xdp
from penstock.lang.program import Program
from penstock.net.ethernet import Link
from penstock.rtt.flows import follow
from penstock.rtt.options import RttOptions
from penstock.rtt.ping import Way
from penstock.rtt.sweep import sweep_program
from penstock.rtt.tables import Tables, make_tables


@dataclass(frozen=True, eq=False)
class Hooks:
    """Programs for an interface: `ingress_xdp` or `ingress`, and `egress`. They let every packet pass."""

    ingress_xdp: Program
    ingress: Program
    egress: Program


@dataclass(frozen=True, eq=False)
class RttPrograms:
    """All programs, which share their tables, so that several interfaces may be watched at once.

    `ethernet` and `ip` are for interfaces with and without an Ethernet header. `sweep` is to be run once a
    second or so, by a test run.
    """

    tables: Tables
    ethernet: Hooks
    ip: Hooks
    sweep: Program


def rtt_programs(options: RttOptions) -> RttPrograms:
    """Return the programs and tables for these options; nothing is compiled or loaded yet."""
    tables = make_tables(options)
    return RttPrograms(
        tables, _hooks(Link.ETHERNET, tables), _hooks(Link.NONE, tables), sweep_program(tables)
    )


def _hooks(link: Link, tables: Tables) -> Hooks:
    @xdp
    def ingress_xdp(packet: Xdp) -> int:
        follow(packet, Way.INGRESS, link, tables)
        return XDP_PASS

    @tc
    def ingress(packet: Tc) -> int:
        follow(packet, Way.INGRESS, link, tables)
        return TC_UNSPEC

    @tc
    def egress(packet: Tc) -> int:
        follow(packet, Way.EGRESS, link, tables)
        return TC_UNSPEC

    return Hooks(ingress_xdp, ingress, egress)
