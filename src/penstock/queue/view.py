"""What waits in a PIFO, seen from user space while programs use it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.kernel.array import Array
from penstock.queue.pifo import Pifo, PifoState


class PifoView:
    """Reads a PIFO in memory shared with the programs, and stops none of them.

    What it reads is right when the PIFO is quiet. While programs run, what is pushed and popped meanwhile may
    be missing or count twice.
    """

    def __init__(self, pifo: Pifo, states: Array[PifoState]) -> None:
        """Look at `pifo` as it was loaded: `states` is `loaded[pifo.states]`. Linux 5.5."""
        self._shift = np.uint64(pifo.shift)
        self._window = np.uint64(pifo.window)
        self._states = states.memory

    def length(self, group: int = 0) -> int:
        """Return how many items it holds. IndexError if there is no such group."""
        state = self._states[group]
        return int(state["in_window"]) + int(state["in_heap"])

    def counts(self, group: int = 0) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Return the ranks that items have, ascending, and how many items have each: two arrays of (n,).

        Ranks that are equal by granularity are the lowest of them. IndexError if there is no such group.
        """
        state = self._states[group]
        heads = state["buckets"]["head"].copy()
        buckets = np.flatnonzero(heads).astype(np.uint64)
        lengths = _lengths(state["following"][: int(state["used"]) + 1])
        first = state["first"]
        in_window = first + (buckets - first) % self._window
        in_heap = state["heap"]["rank"][: state["in_heap"]]
        ranks, which = np.unique(np.concatenate([in_window, in_heap]), return_inverse=True)
        listed = lengths[np.minimum(heads[heads != 0], len(lengths) - 1)]
        counts = np.bincount(which, np.concatenate([listed, np.ones(len(in_heap))]), len(ranks))
        return ranks << self._shift, counts.astype(np.int64)


def _lengths(following: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return the length of the list that begins at each node; 0 is none.

    Pointer jumping: each round knows twice as far ahead as the one before. It ends even if lists are torn.
    """
    after = following.copy()
    after[after >= len(after)] = 0
    after[0] = 0
    lengths = np.ones(len(after), np.int64)
    lengths[0] = 0
    for _ in range(len(after).bit_length()):
        lengths += lengths[after]
        after = after[after]
    return np.minimum(lengths, len(following) - 1)
