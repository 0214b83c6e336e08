"""A queue that runs: its programs are loaded and attached, its drain is awake."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

import penstock
from penstock.errors import KernelError
from penstock.kernel.interface import find_interface
from penstock.lang import Tc, Xdp, tc, xdp
from penstock.queue.bridges import bridged
from penstock.queue.control import Control
from penstock.queue.drain import Drain
from penstock.queue.egress import Egress, State
from penstock.queue.forwarding import Bridge, Passed, Router, passed
from penstock.queue.frames import Frames
from penstock.queue.link import Rate
from penstock.queue.owner import ROOM, cpus
from penstock.queue.packets import Packets
from penstock.queue.scheduler import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from penstock.lang import Global, Program, u64
    from penstock.queue.scheduler import Scheduler
    from penstock.queue.statistics import Counts

FRAME: Final = 1536
"""Bytes of a slot: 1500 of IP, an Ethernet header, and room for tags."""

SENT: Final = ("bypassed", "swapped", "drained")
"""The counts of packets that left, by how."""

LOSSES: Final = ("refused", "overflowed", "crowded", "failed")
"""The counts of packets that were lost, by why."""

PATIENCE: Final = 250_000
"""ns that an overdue packet is left to those that arrive, by default."""


class Queue:
    """Packets from some interfaces to another pass a scheduler; a context manager.

    Args:
        sources: Where packets arrive.
        target: Where they leave.
        scheduler: Its class.
        options: The scheduler's, by name.
        rate: What the link behind `target` carries.
        slots: How many packets may wait.
        patience: How long the drain leaves an overdue packet to those that arrive, ns.

    Interfaces that are ports of one bridge of the kernel's are bridged, others are routed between.
    """

    def __init__(
        self,
        sources: Sequence[str],
        target: str,
        scheduler: type[Scheduler],
        *,
        options: dict[str, str] | None = None,
        rate: Rate | None = None,
        slots: int = 1000,
        patience: int = PATIENCE,
    ) -> None:
        self._sources = [find_interface(source) for source in sources]
        self._rate = rate or Rate()
        self._patience = patience
        self._target = find_interface(target)
        packets = Packets(slots, cpus() * ROOM)
        try:
            self.scheduler = scheduler(packets, **(options or {}))
        except ValueError as error:
            raise KernelError(f"cannot set up {scheduler.__name__}: {error}") from error
        self._options = {
            name: self.scheduler.initial[value] if option.tunable else value
            for name, option in self.scheduler.options.items()
            for value in [self.scheduler.values[name]]
        }
        self.egress = Egress(self._target.index, packets, Frames(packets, FRAME), self.scheduler)
        local = bridged(self._sources, self._target)
        self._forwarding = Router(self.egress) if local is None else Bridge(self.egress, local)
        self._arrive, self._drain = _programs(self.egress, self._forwarding)

    def __enter__(self) -> Self:
        with ExitStack() as owned:
            loaded = self._loaded = owned.enter_context(penstock.load(self._arrive, self._drain))
            self._prepare()
            state = loaded[self.egress.state]
            drain = Drain(loaded[self._drain], state, loaded[self.egress.wake])
            drain.start()
            owned.callback(drain.stop)
            control = Control(self._target.index, self._target.name, self._answer)
            owned.callback(control.stop)
            control.start()
            self._links = [loaded.attach_xdp(self._arrive, source.index) for source in self._sources]
            self._owned = owned.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    def set(self, options: dict[str, str], rate: dict[str, int]) -> None:
        """Change tunables of the scheduler, and fields of the `Rate`, while packets go on.

        KernelError, and nothing is changed, if one of them is none that can change, or not such a value.
        """
        scheduler = self.scheduler
        changes: dict[str, int] = {}
        for name, text in options.items():
            option = scheduler.options.get(name)
            if option is None or not option.tunable:
                tunable = [each for each, found in scheduler.options.items() if found.tunable]
                there = f"there are {', '.join(tunable)}" if tunable else "there are none"
                raise KernelError(f"{type(scheduler).__name__} has no {name} that can change: {there}")
            try:
                changes[name] = option.parse(text)
            except ValueError as error:
                raise KernelError(f"cannot change {name}: {error}") from error
        for name, value in changes.items():
            self._tune(name, value)
        self._rate = replace(self._rate, **rate)
        self._rate.write(self._loaded[self.egress.link.state].value)

    def statistics(self) -> dict[str, Any]:
        """Return everything that is counted, and what it runs with, as plain numbers and texts."""
        counts = self.counts()
        packets = {name: getattr(counts, name) for name in (*SENT, *LOSSES)}
        free = self._loaded[self.egress.packets.free].value
        return {
            "scheduler": type(self.scheduler).__name__,
            "options": self._options,
            "rate": self._rate.bits_per_second,
            "waiting": free.used - free.count,
            **{name: {"packets": each.packets, "bytes": each.bytes} for name, each in packets.items()},
            "dropped_by_scheduler": self._dropped(),
            "passed": {reason.name.lower(): int(self._loaded[passed][reason].sum()) for reason in Passed},
            "sojourn_ns": [int(number) for number in counts.sojourn],
        }

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what another process asks for."""
        if request.get("do") == "set":
            self.set(request["options"], request["rate"])
        return self.statistics()

    def describe(self) -> str:
        """Say what it does, in one line."""
        rate = self._rate.bits_per_second
        at = f" at {rate / 1e6:g} Mbit/s" if rate else ""
        how = "routing" if isinstance(self._forwarding, Router) else "bridging"
        sources = ", ".join(source.name for source in self._sources)
        return f"{how} {sources} to {self._target}{at}, {type(self.scheduler).__name__}"

    def totals(self) -> str:
        """Say what became of the packets, in one line."""
        counts = self.counts()
        sent = {name: getattr(counts, name).packets for name in SENT}
        lost = {name: getattr(counts, name).packets for name in LOSSES}
        lost["by the scheduler"] = self._dropped()
        drops = ", ".join(f"{number} {name}" for name, number in lost.items() if number)
        dropped = f"{sum(lost.values())} dropped ({drops})" if drops else "none dropped"
        ways = ", ".join(f"{number} {name}" for name, number in sent.items())
        return f"{sum(sent.values())} packets sent ({ways}); {dropped}; {self.waiting()} left waiting"

    def _dropped(self) -> int:
        """How many packets the scheduler dropped after they waited; some have no code for it."""
        try:
            return self._loaded[self.egress.packets.dropped].value
        except KeyError:
            return 0

    def waiting(self) -> int:
        """Return how many packets wait."""
        free = self._loaded[self.egress.packets.free].value
        return free.used - free.count

    def check(self) -> None:
        """KernelError if one of the interfaces has gone."""
        for source, link in zip(self._sources, self._links, strict=True):
            if not link.alive():
                raise KernelError(f"{source} has gone: the queue ends")
        if self._target.index not in dict(socket.if_nameindex()):
            raise KernelError(f"{self._target} has gone: the queue ends")

    def counts(self) -> Counts:
        """Return what was counted until now."""
        return self._loaded[self.egress.statistics.counts].value

    def _tune(self, name: str, value: int) -> None:
        """Set a tunable; one that no method reads is in no program, and needs no setting."""
        self._options[name] = value
        tunable: Global[u64] = self.scheduler.values[name]
        with suppress(KeyError):
            self._loaded[tunable].value = value

    def _prepare(self) -> None:
        loaded, packets = self._loaded, self.egress.packets
        loaded[self.egress.state].value = State(
            until=NEVER, patience=self._patience, seed=secrets.randbits(64)
        )
        self._rate.write(loaded[self.egress.link.state].value)
        stages = loaded[self.egress.owner.stages].memory
        for cpu, stage in enumerate(stages):
            stage["given"] = ROOM
            stage["free"] = range(packets.capacity + cpu * ROOM, packets.capacity + (cpu + 1) * ROOM)
        for name, value in self._options.items():
            if self.scheduler.options[name].tunable:
                self._tune(name, value)


def _programs(egress: Egress, forwarding: Bridge | Router) -> tuple[Program, Program]:
    @xdp
    def arrive(packet: Xdp) -> int:
        return forwarding.forward(packet)

    @tc
    def drain(packet: Tc) -> int:
        egress.drain(packet)
        return 0

    return arrive, drain
