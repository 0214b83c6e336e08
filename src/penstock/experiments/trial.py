"""Trying a scheduler of one's own: alone first, then beside those that come along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from penstock.experiments.catalogue import find
from penstock.queue import catalogue
from penstock.queue.egress import Egress
from penstock.queue.frames import Frames
from penstock.queue.generation import Generation
from penstock.queue.packets import Packets
from penstock.queue.session import FRAME
from penstock.queue.succession import set_up

if TYPE_CHECKING:
    from penstock.experiments.experiment import Experiment

EXPERIMENTS: Final = ("transition", "bufferbloat", "fairness")
"""Those that compare schedulers, and take others as `extra`."""

_LOOPBACK: Final = 1
_SLOTS: Final = 1000
_RESERVE: Final = 64


def load(scheduler: str) -> None:
    """Compile a scheduler, by its name or file, into the programs of a queue, and have them verified.

    Nothing is attached.

    Raises:
        SchedulerError: There is none.
        CompileError, VerifierError: It has a mistake, and where.
    """
    packets = Packets(_SLOTS, _RESERVE)
    egress = Egress(
        _LOOPBACK, packets, Frames(packets, FRAME), set_up(catalogue.find(scheduler), packets, {})
    )
    Generation(egress, egress.scheduler, {}, {}).loaded.close()


def trials(scheduler: str, options: Mapping[str, str]) -> list[Experiment]:
    """Return the experiments that put a scheduler beside others; ValueError for a wrong option."""
    return [find(name)(extra=scheduler, **options) for name in EXPERIMENTS]
