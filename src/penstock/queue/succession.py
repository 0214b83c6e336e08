"""The schedulers of a queue, one after the other, each with the programs that run it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.errors import KernelError, PenstockError
from penstock.kernel.grace import wait_for_programs
from penstock.queue.generation import Generation
from penstock.queue.handover import Handover
from penstock.queue.packets import NO_GENERATION
from penstock.queue.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.queue.egress import Egress
    from penstock.queue.packets import Packets


class Succession:
    """Generations: `now` runs the queue, and the first has the maps that all share."""

    def __init__(self, egress: Egress, run_by: Callable[[Generation], None]) -> None:
        """Load the first one; `run_by` has a later one run the queue. Errors as of `Generation`."""
        self._egress = egress
        self._run_by = run_by
        self.now = Generation(egress, egress.scheduler, {}, {})
        self.loaded = self.now.loaded
        self.handover: Handover | None = None
        """The change that is under way."""
        self._later = list[Generation]()
        self._number = 0
        self._begun = False

    def swap(self, new: Scheduler) -> None:
        """Have another scheduler take over. What waits leaves first, by the rules of the one before.

        Raises:
            KernelError: The last such change is still under way.
            CompileError, VerifierError: The scheduler cannot be run. The one before goes on.
        """
        if self.handover is not None:
            raise KernelError("cannot change the scheduler: packets still wait in the one before the last")
        handover = Handover(self.now.scheduler, new, self._number)
        number = (self._number + 1) % NO_GENERATION
        self._install(handover, new, number, {})
        self.handover, self._number, self._begun = handover, number, False
        self._begin(handover)

    def settle(self) -> None:
        """Have the new scheduler run the queue alone, if the old one is empty; to be called now and then."""
        if self.handover is not None and not self._begun:
            self._begin(self.handover)
        if self.handover is not None and self._is_over(self.handover):
            new = self.handover.new
            self._install(new, new, self._number, self.now.options)
            self.handover = None
            self._forget(but=2)  # the first of these has the second's maps

    def close(self) -> None:
        """Let go of all of them."""
        self._forget(but=0)
        self.loaded.close()

    def _begin(self, handover: Handover) -> None:
        """Have what arrives wait in the new scheduler; on return nothing comes to the old one any more."""
        wait_for_programs()
        self.now.loaded[handover.change].value.begun = 1
        wait_for_programs()
        self._begun = True

    def _is_over(self, handover: Handover) -> bool:
        """Whether nothing waits in the old scheduler."""
        left: int = self.loaded[self._egress.packets.free].value.of[handover.generation]
        return left == 0

    def _install(self, runs: Scheduler, tuned: Scheduler, number: int, options: Mapping[str, int]) -> None:
        """Have another generation run the queue from the next packet on, or go on with the last."""
        before = self.now
        now = Generation(self._egress.run_by(runs, number), tuned, before.loaded.maps, options)
        try:
            self._run_by(now)
        except PenstockError:
            with suppress(PenstockError):
                self._run_by(before)
            now.loaded.close()
            raise
        self.now = now
        self._later.append(now)

    def _forget(self, but: int) -> None:
        while len(self._later) > but:
            self._later.pop(0).loaded.close()


def set_up(scheduler: type[Scheduler], packets: Packets, options: Mapping[str, str]) -> Scheduler:
    """Make a scheduler, which may be a user's own. KernelError if it is none, or the options are wrong."""
    for method in ("enqueue", "dequeue"):
        if getattr(scheduler, method) is getattr(Scheduler, method):
            raise KernelError(f"{scheduler.__name__} has no {method}: a scheduler needs one")
    try:
        return scheduler(packets, **options)
    except ValueError as error:
        raise KernelError(f"cannot set up {scheduler.__name__}: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise KernelError(f"cannot set up {scheduler.__name__}: {reason}") from error
