"""Takes the sums of an interval out of the kernel, while the programs go on with the next."""

from __future__ import annotations

import numpy as np

from penstock.kernel import Loaded
from penstock.kernel.grace import wait_for_programs
from penstock.rtt.aggregates import Report, name_prefixes, summarise
from penstock.rtt.tables import Tables


class Collector:
    """The two sets of aggregates of loaded programs."""

    def __init__(self, loaded: Loaded, tables: Tables) -> None:
        self._options = tables.options
        self._active = loaded[tables.active]
        self._sets = [loaded[spec] for spec in tables.aggregates]
        self._backup = loaded[tables.backup]

    def collect(self) -> list[Report]:
        """Return what was summed up since the last call, by prefix, and forget it."""
        done = self._active.value
        self._active.value = 1 - done
        wait_for_programs()
        keys, values = self._sets[done].read_and_clear()
        order = np.lexsort(keys["address"].T[::-1])
        prefixes = name_prefixes(keys[order], self._options.prefix_v4, self._options.prefix_v6)
        return summarise(prefixes, values[order]) + self._collect_backup(2 * done)

    def _collect_backup(self, start: int) -> list[Report]:
        """Return what prefixes had that found no room, as if they were one."""
        values = self._backup[start : start + 2]
        for index in (start, start + 1):
            self._backup[index] = np.zeros_like(values[0])
        return summarise(["0.0.0.0/0", "::/0"], values)
