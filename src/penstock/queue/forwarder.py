"""What brings packets to queues: a program where they arrive finds the queue that they have to pass."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

import penstock
from penstock.errors import KernelError
from penstock.kernel.chain import join_chain
from penstock.kernel.interface import find_interface
from penstock.lang import Xdp, xdp
from penstock.queue.forwarding import Bridge, Router
from penstock.queue.ports import Ports

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.kernel.chain import Chain
    from penstock.kernel.interface import Interface
    from penstock.lang import Program
    from penstock.queue.session import Queue

_FLUSH: Final = 1.0
"""s for what waits to leave at the end."""


class Forwarder:
    """Queues that run in one process, and may share their sources; a context manager.

    >>> wan1 = Queue(["lan"], "wan1", FqCodel, rate=Rate(50_000_000))
    >>> wan2 = Queue(["lan"], "wan2", Fifo, rate=Rate(10_000_000))
    >>> with Forwarder(wan1, wan2) as forwarder:
    ...     forwarder.check()

    If all their interfaces are ports of one bridge of the kernel's, each frame passes the queue before the
    other port. Else packets are routed, and pass the queue before the interface that their route leads to.
    """

    def __init__(self, *queues: Queue) -> None:
        self._queues = queues
        targets = [queue.target for queue in queues]
        if len(set(targets)) < len(targets):
            names = ", ".join(target.name for target in targets)
            raise KernelError(
                f"cannot queue before {names}: one queue before each; it may have several sources"
            )
        sources = [source for queue in queues for source in queue.sources]
        self._interfaces = [*dict.fromkeys([*sources, *targets])]
        ports = Ports(self._interfaces)
        self._local, self._is_bridge = ports.addresses(), ports.bridge() is not None
        self._vlans = ports.vlans(sources)
        self._fed = {source: self._fed_by(source) for source in sources}
        self._chains: dict[Interface, Chain] = {}

    def _fed_by(self, source: Interface) -> tuple[Queue, ...]:
        """The queues that take packets from there. A bridge sends none back by the port where it came."""
        queues = [queue for queue in self._queues if source in queue.sources]
        found = [queue for queue in queues if not (self._is_bridge and queue.target == source)]
        if not found:
            raise KernelError(f"cannot queue from {source} to {source}: a bridge sends no frame back")
        return tuple(found)

    def __enter__(self) -> Self:
        for interface in self._interfaces:
            find_interface(interface.name)  # the same as before, and not in another network namespace
        with ExitStack() as owned:
            programs = {queues: self._program(queues) for queues in self._fed.values()}
            loaded = owned.enter_context(penstock.load(*programs.values()))
            if self._vlans is not None:
                self._vlans.write(loaded)
            for queue in self._queues:
                owned.enter_context(queue.running(loaded))
            owned.callback(self.finish)
            for source, queues in self._fed.items():
                self._chains[source] = join_chain(loaded[programs[queues]], source, "forward")
            self._owned = owned.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    def _program(self, queues: tuple[Queue, ...]) -> Program:
        """The program for a source of these queues."""
        first, *others = (queue.gate for queue in queues)
        forwarding: Bridge | Router
        if self._is_bridge:
            forwarding = Bridge(first, self._local, self._vlans)
        else:
            forwarding = Router(first, self._local, vlans=self._vlans)
            for gate in others:
                forwarding = Router(gate, self._local, forwarding, self._vlans)

        @xdp
        def forward(packet: Xdp) -> int:
            return forwarding.forward(packet)

        return forward

    def check(self) -> None:
        """Do what has to be done now and then: twice a second or so. KernelError if an interface has gone."""
        for source, chain in self._chains.items():
            if not chain.alive():
                raise KernelError(f"{source} has gone: the queue ends")
        for queue in self._queues:
            queue.check()

    def finish(self) -> None:
        """Take in no more packets, and let those that wait leave at once. Counts can still be read."""
        for chain in self._chains.values():
            chain.close()
        for queue in self._queues:
            queue.hurry()
        end = time.monotonic() + _FLUSH
        for queue in self._queues:
            while queue.flush() and time.monotonic() < end:
                pass

    def describe(self) -> list[str]:
        """Say what each queue does, in a line."""
        how = "bridging" if self._is_bridge else "routing"
        return [f"{how} {self._sources(queue)} to {queue.describe()}" for queue in self._queues]

    def _sources(self, queue: Queue) -> str:
        return ", ".join(source.name for source, queues in self._fed.items() if queue in queues)
