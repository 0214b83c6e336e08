"""The programs that run a queue with one scheduler. Another scheduler is another generation of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import penstock
from penstock.errors import KernelError
from penstock.lang import Tc, Xdp, tc, xdp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.kernel.map import Map
    from penstock.kernel.program import Program as LoadedProgram
    from penstock.lang import Global, MapSpec, Program, u64
    from penstock.queue.egress import Egress
    from penstock.queue.scheduler import Scheduler


class Generation:
    """Programs that are loaded, and the settings of the scheduler that packets which arrive wait in."""

    def __init__(
        self,
        egress: Egress,
        scheduler: Scheduler,
        maps: Mapping[MapSpec, Map],
        options: Mapping[str, int],
    ) -> None:
        """Load them.

        Args:
            egress: The queue, with what it is run by.
            scheduler: Whose tunables are to be set.
            maps: Those that exist already, of generations before.
            options: Of the scheduler, where they are not what it was made with any more.

        Raises:
            CompileError, VerifierError: The scheduler cannot be run.
            KernelError: The kernel lacks something, or the process a capability.
        """
        self.scheduler = scheduler
        arrive, drain, poll = _programs(egress)
        self.loaded = penstock.load(arrive, drain, poll, maps=maps)
        self.arrive: LoadedProgram = self.loaded[arrive]
        self.drain: LoadedProgram = self.loaded[drain]
        self.poll: LoadedProgram = self.loaded[poll]
        self.options = dict[str, int]()
        for name, option in scheduler.options.items():
            value = scheduler.values[name]
            if option.tunable:
                self.tune(name, options.get(name, scheduler.initial[value]))
            else:
                self.options[name] = value

    def parse(self, options: Mapping[str, str]) -> dict[str, int]:
        """Return values for tunables. KernelError if an option cannot change, or a value is none."""
        values: dict[str, int] = {}
        for name, text in options.items():
            option = self.scheduler.options.get(name)
            if option is None or not option.tunable:
                tunable = [each for each, found in self.scheduler.options.items() if found.tunable]
                there = f"there are {', '.join(tunable)}" if tunable else "there are none"
                raise KernelError(f"{type(self.scheduler).__name__} has no {name} that can change: {there}")
            try:
                values[name] = option.parse(text)
            except ValueError as error:
                raise KernelError(f"cannot change {name}: {error}") from error
        return values

    def tune(self, name: str, value: int) -> None:
        """Set a tunable; one that no method reads is in no program, and needs no setting."""
        self.options[name] = value
        tunable: Global[u64] = self.scheduler.values[name]
        with suppress(KeyError):
            self.loaded[tunable].value = value


def _programs(egress: Egress) -> tuple[Program, Program, Program]:
    @xdp
    def arrive(packet: Xdp) -> int:
        return egress.arrive(packet)

    @tc
    def drain(packet: Tc) -> int:
        egress.drain(packet)
        return 0

    @xdp
    def poll(packet: Xdp) -> int:
        return egress.poll(packet)

    return arrive, drain, poll
