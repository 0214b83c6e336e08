"""`penstock` with one more experiment, `made_up`, which takes no time unless it is told to."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from penstock import units
from penstock.cli.main import main
from penstock.experiments import Experiment, Line, Option, Plot, Result, catalogue, trial
from penstock.experiments.result import row
from penstock.lab import Lab

_CHILD = "import time; print('waiting', flush=True); time.sleep(600)"


class Made_up(Experiment):  # noqa: N801  # as the catalogue finds it
    """Nothing is shown: it is made up.

    For tests.
    """

    how_many = Option(units.count, "2", "how many cases")
    extra = Option(str, "", "schedulers to compare with")
    pause = Option(units.duration, "0s", "how long to wait with a host")

    def run(self, tell: Callable[[str], None]) -> Result:
        tell("making it up")
        if self.pause:
            self.wait(tell)
        cases = [f"case {number}" for number in range(self.how_many)] + self.extra.split(",")
        runs = [{"goodput_mbps": 49.0 + run} for run in range(self.runs)]
        rows = [row(case, runs) for case in cases if case]
        plot = Plot("goodput", "Goodput", "case", "goodput (Mbit/s)", [Line("all", [50.0], ["case"])], "bars")
        return Result("made_up", self.summary(), self.parameters, rows, [plot])

    def wait(self, tell: Callable[[str], None]) -> None:
        with Lab() as lab:
            child = lab.host("a").popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE)
            assert child.stdout is not None
            tell(child.stdout.readline().strip())
            time.sleep(self.pause / 1e9)


@contextmanager
def made_up() -> Iterator[None]:
    """Have it be the only experiment, and all that a scheduler is tried in."""
    module = ModuleType("penstock.experiments.made_up")
    module.Made_up = Made_up  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(catalogue, "NAMES", ("made_up",))
        patch.setattr(trial, "EXPERIMENTS", ("made_up", "made_up", "made_up"))
        yield


if __name__ == "__main__":
    with made_up():
        main()
