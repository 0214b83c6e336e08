"""The RTT programs on interfaces, and what they hand over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np

import penstock
from penstock.kernel.chain import Chain, join_chain
from penstock.kernel.interface import Interface, find_interface
from penstock.kernel.link import Link
from penstock.kernel.statistics import Statistics
from penstock.kernel.xdp import XdpMode
from penstock.lang.program import Program
from penstock.rtt.aggregates import Report
from penstock.rtt.collector import Collector
from penstock.rtt.linklayer import has_ethernet
from penstock.rtt.naming import Events
from penstock.rtt.options import RttOptions
from penstock.rtt.programs import Hooks, rtt_programs
from penstock.rtt.records import Counters, Event
from penstock.rtt.totals import Totals

if TYPE_CHECKING:
    from penstock.rtt.addresses import OwnAddresses

Ingress = Literal["tc", "xdp"]

_NOTHING: Final = np.zeros(0, Event.__layout__.dtype)


class Monitor:
    """Measures on interfaces within a `with` block; what it attached goes with it. Linux 5.14.

    KernelError if there is no such interface, or the kernel or this user cannot do it.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        options: RttOptions,
        *,
        ingress: Ingress = "tc",
        xdp_mode: XdpMode = "auto",
    ) -> None:
        self._options = options
        self._ingress: Ingress = ingress
        self._xdp_mode: XdpMode = xdp_mode
        self._programs = rtt_programs(options)
        self._tables = self._programs.tables
        found = [find_interface(name) for name in dict.fromkeys(interfaces)]
        self._hooks = {interface: self._choose_hooks(interface) for interface in found}
        self._links: dict[str, list[Link]] = {}
        self._read = self._evicted = 0

    def __enter__(self) -> Self:
        tables, options = self._tables, self._options
        with ExitStack() as owned:
            programs = {program for hooks in self._hooks.values() for program in self._programs_of(hooks)}
            self._loaded = owned.enter_context(penstock.load(*programs, self._programs.sweep))
            self._events = self._loaded[tables.events] if options.rtt_events or options.flow_events else None
            self._collector = Collector(self._loaded, tables) if options.aggregate else None
            self._own = None if options.local else self._own_addresses()
            self.sweep()
            self._links = {interface.name: self._attach(interface, owned) for interface in self._hooks}
            self._start = time.monotonic()
            self._owned = owned.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    @property
    def interfaces(self) -> Sequence[str]:
        """The names of the interfaces that are still there."""
        return list(self._links)

    def fileno(self) -> int:
        """Return a descriptor that is readable when programs woke up their reader."""
        assert self._events is not None
        return self._events.fileno()

    def read(self, limit: int | None = None) -> Events:
        """Return the events since the last call, or the first `limit` of them, oldest first."""
        if self._events is None:
            return _NOTHING
        events = self._events.read(limit)
        self._read += len(events)
        return events

    def reports(self) -> list[Report]:
        """Return the sums for each prefix since the last call, if they are made."""
        return self._collector.collect() if self._collector is not None else []

    def sweep(self) -> None:
        """Close flows that timed out, and set the programs' clock: once a second or so."""
        if self._own is not None:
            self._own.refresh()
        seen = self._counters().flows_created
        self._loaded[self._programs.sweep].run()
        # Flows may come and go meanwhile: no more than this are missing, and exactly so once all is detached.
        missing = seen - self._counters().flows_closed - self._flows_now()
        self._evicted = max(self._evicted, missing)

    def lose_interfaces(self) -> list[str]:
        """Return the interfaces that have gone since the last call, and let go of them."""
        lost = [name for name, links in self._links.items() if not all(link.alive() for link in links)]
        for name in lost:
            for link in self._links.pop(name):
                link.close()
        return lost

    def detach(self) -> None:
        """Stop measuring. What was measured can still be read."""
        for links in self._links.values():
            for link in links:
                link.close()

    def statistics(self) -> dict[Program, Statistics]:
        """Return the run-time statistics of each program that is attached, in a fixed order.

        The kernel has none of an XDP program in a chain: there it is the whole chain's.
        """
        programs = [program for hooks in self._hooks.values() for program in self._programs_of(hooks)]
        found = {program: self._loaded[program].statistics() for program in programs}
        for interface, hooks in self._hooks.items():
            for link in self._links.get(interface.name, ()):
                if isinstance(link, Chain):
                    found[hooks.ingress_xdp] += link.statistics()
        return found

    def totals(self) -> Totals:
        """Return what was counted until now."""
        counters = self._counters()
        return Totals(
            seconds=time.monotonic() - self._start,
            packets=counters.packets,
            rtts=counters.rtts,
            events=self._read,
            flows_seen=counters.flows_created,
            flows_now=self._flows_now(),
            flows_room=self._options.flows,
            lost=self._events.lost if self._events is not None else 0,
            evicted=self._evicted,
            refused=counters.flows_refused,
            busy=counters.slots_busy,
            without=counters.no_timestamp,
            unanswered=max(0, counters.candidates - counters.flows_created),
            truncated=counters.truncated,
            prefixes=counters.prefixes_refused,
        )

    def _choose_hooks(self, interface: Interface) -> Hooks:
        return self._programs.ethernet if has_ethernet(interface) else self._programs.ip

    def _programs_of(self, hooks: Hooks) -> tuple[Program, Program]:
        return hooks.ingress_xdp if self._ingress == "xdp" else hooks.ingress, hooks.egress

    def _attach(self, interface: Interface, owned: ExitStack) -> list[Link]:
        arriving, leaving = self._programs_of(self._hooks[interface])
        if self._ingress == "xdp":
            chain = join_chain(self._loaded[arriving], interface, "measure", self._xdp_mode)
            first: Link = owned.enter_context(chain)
        else:
            first = self._loaded.attach_tc(arriving, interface.index, "ingress")
        return [first, self._loaded.attach_tc(leaving, interface.index, "egress")]

    def _own_addresses(self) -> OwnAddresses:
        from penstock.rtt.addresses import OwnAddresses  # noqa: PLC0415 (pyroute2 is slow to import)

        return OwnAddresses(self._loaded[self._tables.own])

    def _counters(self) -> Counters:
        return self._loaded[self._tables.counters].total(0)

    def _flows_now(self) -> int:
        return self._loaded[self._tables.occupancy].value.flows
