"""A queue that runs: its programs are loaded and attached, its drain is awake."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from penstock.errors import KernelError
from penstock.kernel.interface import find_interface
from penstock.queue.catalogue import find
from penstock.queue.control import Control
from penstock.queue.drain import Drain
from penstock.queue.egress import Egress, State
from penstock.queue.forwarder import Forwarder
from penstock.queue.forwarding import Passed, passed
from penstock.queue.frames import Frames
from penstock.queue.gate import Gate
from penstock.queue.link import FRACTION, Rate
from penstock.queue.owner import ROOM, cpus
from penstock.queue.packets import NO_GENERATION, Packets
from penstock.queue.poller import Poller
from penstock.queue.scheduler import NEVER, Scheduler
from penstock.queue.succession import Succession, set_up

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from types import TracebackType

    from penstock.kernel.load import Loaded
    from penstock.queue.classes import ClassCounts
    from penstock.queue.generation import Generation
    from penstock.queue.statistics import Counts, Traffic

FRAME: Final = 1536
"""Bytes of a slot: 1500 of IP, an Ethernet header, and room for tags."""

SENT: Final = ("bypassed", "swapped", "drained")
"""The counts of packets that left, by how."""

LOSSES: Final = ("refused", "overflowed", "crowded", "failed")
"""The counts of packets that were lost, by why."""

Draining = Literal["sleep", "poll"]

PATIENCE: Final = 500_000
"""ns that an overdue packet is left to those that arrive, by default."""

_LONGEST: Final = 10_000_000_000
"""ns of patience."""


class Queue:
    """Packets from some interfaces to another pass a scheduler; a context manager, if it is the only one.

    Several queues in one process, which may share their sources, are run by a `Forwarder`.

    Args:
        sources: Where packets arrive.
        target: Where they leave.
        scheduler: Its class.
        options: The scheduler's, by name.
        rate: What the link behind `target` carries.
        slots: How many packets may wait.
        patience: How long the drain leaves an overdue packet to those that arrive, ns.
        drain: "sleep": a thread that sleeps until it is needed; "poll": a process that never does.
        poll_cpu: The core that this one has to itself; None: the kernel's choice.
    """

    def __init__(
        self,
        sources: Sequence[str],
        target: str,
        scheduler: type[Scheduler],
        *,
        options: Mapping[str, str] | None = None,
        rate: Rate | None = None,
        slots: int = 1000,
        patience: int = PATIENCE,
        drain: Draining = "sleep",
        poll_cpu: int | None = None,
    ) -> None:
        self.sources = [find_interface(source) for source in sources]
        self.target = find_interface(target)
        self._rate = rate or Rate()
        self._patience = _checked(patience)
        self._how: Draining = drain
        self._poll_cpu = poll_cpu
        self._packets = Packets(slots, cpus() * ROOM)
        first = set_up(scheduler, self._packets, options or {})
        frames = Frames(self._packets, FRAME)
        self.egress = Egress(self.target.index, self._packets, frames, first)
        self.gate = Gate(self.target.index, frames)
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        self._forwarder = Forwarder(self)
        self._forwarder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forwarder.__exit__(kind, error, trace)

    @contextmanager
    def running(self, forwarding: Loaded) -> Generator[None]:
        """Take packets that those programs give to its gate, and answer other processes, until the end.

        KernelError if there is a queue before that interface.
        """
        with ExitStack() as owned:
            self._passed, self._gate = forwarding[passed], forwarding[self.gate.programs]
            self._schedulers = Succession(self.egress, self._run_by)
            owned.callback(self._schedulers.close)
            self._loaded = self._schedulers.loaded
            self._prepare()
            self._gate[0] = self._schedulers.now.arrive
            self._drain = self._start_drain(self._how)
            owned.callback(self._stop_drain)
            control = Control(self.target.index, self.target.name, self._answer)
            owned.callback(control.stop)
            control.start()
            yield

    def swap(self, scheduler: type[Scheduler], options: Mapping[str, str]) -> None:
        """Have another scheduler take over. What waits leaves first, by the rules of the one before.

        Raises:
            KernelError: The last such change is still under way, or the options are wrong.
            CompileError, VerifierError: The scheduler cannot be run. The one before goes on.
        """
        with self._changing:
            self._schedulers.swap(set_up(scheduler, self._packets, options))

    def set_drain(self, how: Draining) -> None:
        """Have packets that no arrival clocks out sent in the other way; none waits for the change."""
        with self._changing:
            if how == self._how:
                return
            before, self._drain = self._drain, self._start_drain(how)
            before.stop()
            self._how = how
            self._plan()
            self._drain.look()  # the one before may have left some to those that look next

    def _start_drain(self, how: Draining) -> Drain | Poller:
        if how == "poll":
            return Poller(self._schedulers.now.poll, self._poll_cpu)
        state, wake = self._loaded[self.egress.state], self._loaded[self.egress.wake]
        drain = Drain(self._schedulers.now.drain, state, wake)
        drain.start()
        return drain

    def _stop_drain(self) -> None:
        self._drain.stop()

    def _plan(self) -> None:
        """Tell programs whether they send, and wake somebody who does: one that polls does it all."""
        state = self._loaded[self.egress.state].value
        state.polled = int(self._how == "poll")
        if state.polled:
            state.until = 0

    def check(self) -> None:
        """Do what has to be done now and then: twice a second or so. KernelError if an interface has gone."""
        existing = dict(socket.if_nameindex())
        for interface in (*self.sources, self.target):
            if interface.index not in existing:
                raise KernelError(f"{interface} has gone: the queue ends")
        if not self._drain.alive():
            raise KernelError("the drain has ended: packets would wait for ever")
        with self._changing:
            self._schedulers.settle()

    def _run_by(self, generation: Generation) -> None:
        self._drain.run_by(generation.poll if self._how == "poll" else generation.drain)
        self._gate[0] = generation.arrive

    def hurry(self) -> None:
        """Let those that wait leave at once, but not before the scheduler lets them go."""
        Rate().write(self._loaded[self.egress.link.state].value)
        self._loaded[self.egress.link.state].value.ready = 0
        self._loaded[self.egress.state].value.patience = 0
        self._drain.look()

    def flush(self) -> bool:
        """Send what may leave now; True if packets wait still."""
        self._schedulers.now.drain.test_run(bytes(64))
        busy = self._loaded[self.egress.owner.busy].value
        return self.waiting() > 0 or busy.staged != busy.taken

    def set(
        self, options: Mapping[str, str], rate: Mapping[str, int | None], patience: int | None = None
    ) -> None:
        """Change tunables of the scheduler, fields of the `Rate`, and the patience, while packets go on.

        KernelError, and nothing is changed, if one of them is none that can change, or not such a value.
        """
        try:
            new = replace(self._rate, **rate)
        except ValueError as error:
            raise KernelError(f"cannot change the rate: {error}") from error
        waits = self._patience if patience is None else _checked(patience)
        with self._changing:
            generation = self._schedulers.now
            for name, value in generation.parse(options).items():
                generation.tune(name, value)
            self._rate = new
            self._patience = self._loaded[self.egress.state].value.patience = waits
            link = self._loaded[self.egress.link.state].value
            new.write(link)
            # A slow link may have had to wait for long.
            link.ready = min(link.ready, time.monotonic_ns() << FRACTION)
            self._drain.look()

    def statistics(self) -> dict[str, Any]:
        """Return everything that is counted, and what it runs with, as plain numbers and texts."""
        counts = self.counts()
        free = self._loaded[self.egress.packets.free].value
        found = {name: _traffic(getattr(counts, name)) for name in (*SENT, *LOSSES)}
        found["dropped"] = {"packets": int(free.dropped), "bytes": int(free.dropped_bytes)}
        waiting = sum(int(free.bytes_of[each]) for each in range(NO_GENERATION))
        backlog = {"packets": self.waiting(), "bytes": waiting}
        out = _sum(found[name] for name in SENT)
        return {
            "scheduler": type(self._schedulers.now.scheduler).__name__,
            "options": self._schedulers.now.options,
            "rate": self._rate.bits_per_second,
            "burst": self._rate.burst,
            "overhead": self._rate.overhead,
            "mpu": self._rate.least,
            "drain": self._how,
            "patience": self._patience,
            "in": _sum([*found.values(), backlog]),
            "out": out,
            "waiting": backlog,
            **found,
            "passed": {reason.name.lower(): int(self._passed[reason].sum()) for reason in Passed},
            "sojourn_ns": [int(number) for number in counts.sojourn],
            "classes": self._classes(),
        }

    def _classes(self) -> dict[str, Any]:
        """What the scheduler's classes count; nothing if it has none."""
        scheduler = self._schedulers.now.scheduler
        if not scheduler.class_names:
            return {}
        found = zip(scheduler.class_names, self._schedulers.now.loaded[scheduler.class_counts], strict=True)
        return {name: _of_class(counts) for name, counts in found}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what another process asks for."""
        if request.get("do") == "set":
            self.set(request["options"], request["rate"], request["patience"])
            self.set_drain(request["drain"] or self._how)
        elif request.get("do") == "swap":
            self.swap(find(request["scheduler"]), request["options"])
        return self.statistics()

    def describe(self) -> str:
        """Say what it is, in a few words."""
        rate = self._rate.bits_per_second
        at = f" at {rate / 1e6:g} Mbit/s" if rate else ""
        return f"{self.target}{at}, {type(self._schedulers.now.scheduler).__name__}"

    def waiting(self) -> int:
        """Return how many packets wait."""
        free = self._loaded[self.egress.packets.free].value
        return free.used - free.count

    def counts(self) -> Counts:
        """Return what was counted until now."""
        return self._loaded[self.egress.statistics.counts].value

    def _prepare(self) -> None:
        loaded, packets = self._loaded, self.egress.packets
        loaded[self.egress.state].value = State(
            until=NEVER, patience=self._patience, seed=secrets.randbits(64)
        )
        self._plan()
        self._rate.write(loaded[self.egress.link.state].value)
        for cpu, reserve in enumerate(loaded[self.egress.owner.reserves].memory):
            reserve["given"] = ROOM
            reserve["free"] = range(packets.capacity + cpu * ROOM, packets.capacity + (cpu + 1) * ROOM)


def _checked(patience: int) -> int:
    if not 0 <= patience <= _LONGEST:
        raise KernelError(f"cannot leave packets to arrivals for {patience} ns: from 0 to {_LONGEST}")
    return patience


def _traffic(counts: Traffic) -> dict[str, int]:
    return {"packets": counts.packets, "bytes": counts.bytes}


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    each = list(counts)
    return {what: sum(one[what] for one in each) for what in ("packets", "bytes")}


def _of_class(counts: ClassCounts) -> dict[str, Any]:
    came, out, dropped = map(_traffic, (counts.came, counts.sent, counts.dropped))
    return {
        "in": came,
        "out": out,
        "dropped": dropped,
        "waiting": {what: came[what] - out[what] - dropped[what] for what in came},
        "sojourn_ns": [int(number) for number in counts.sojourn],
    }
