"""Finding an experiment by its name."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Final

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.experiments.experiment import Experiment

NAMES: Final = ("transition", "bufferbloat", "fairness", "overhead", "accuracy", "pacing")
"""Each is the file of that name beside this one, and in it the class: `Transition`."""


class ExperimentError(PenstockError):
    """There is no such experiment."""


def names() -> list[str]:
    """Return the names of all experiments."""
    return list(NAMES)


def find(name: str) -> type[Experiment]:
    """Return an experiment by its name. ExperimentError, with names that are near, if there is none."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NAMES)}"
        raise ExperimentError(f"no experiment {name}: {hint}")
    return getattr(import_module(f"penstock.experiments.{name}"), name.capitalize())
