"""A queue that runs: its programs are loaded and attached, its drain is awake."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

import penstock
from penstock.errors import KernelError
from penstock.kernel.interface import find_interface
from penstock.lang import Tc, Xdp, tc, xdp
from penstock.queue.bridges import bridged
from penstock.queue.drain import Drain
from penstock.queue.egress import Egress, State
from penstock.queue.forwarding import Bridge, Router
from penstock.queue.frames import Frames
from penstock.queue.link import Rate
from penstock.queue.owner import ROOM, cpus
from penstock.queue.packets import Packets
from penstock.queue.scheduler import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from penstock.lang import Program
    from penstock.queue.scheduler import Scheduler
    from penstock.queue.statistics import Counts

FRAME: Final = 1536
"""Bytes of a slot: 1500 of IP, an Ethernet header, and room for tags."""

LOSSES: Final = ("refused", "overflowed", "dropped", "crowded", "failed")
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
            self._links = [loaded.attach_xdp(self._arrive, source.index) for source in self._sources]
            self._owned = owned.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

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
        sent = {name: getattr(counts, name).packets for name in ("bypassed", "swapped", "drained")}
        lost = {name: getattr(counts, name).packets for name in LOSSES}
        dropped = ", ".join(f"{number} {name}" for name, number in lost.items() if number) or "none dropped"
        ways = ", ".join(f"{number} {name}" for name, number in sent.items())
        return f"{sum(sent.values())} packets sent ({ways}); {dropped}; {self.waiting()} left waiting"

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
        for tunable, value in self.scheduler.initial.items():
            loaded[tunable].value = value


def _programs(egress: Egress, forwarding: Bridge | Router) -> tuple[Program, Program]:
    @xdp
    def arrive(packet: Xdp) -> int:
        return forwarding.forward(packet)

    @tc
    def drain(packet: Tc) -> int:
        egress.drain(packet)
        return 0

    return arrive, drain
