"""What waits in a PIFO, seen from user space while programs use it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.kernel.array import Array
from penstock.queue.ranked import NodeT, PifoState, Ranked


class PifoView:
    """Reads a PIFO in memory shared with the programs, and stops none of them.

    What it reads is right when the PIFO is quiet. While programs run, what is pushed and popped meanwhile may
    be missing or count twice.
    """

    def __init__(self, pifo: Ranked[NodeT], states: Array[PifoState], nodes: Array[NodeT]) -> None:
        """Look at a `Pifo` or `PacketPifo`: `loaded[pifo.states]` and `loaded[pifo.nodes]`. Linux 5.5."""
        self._shift = np.uint64(pifo.shift)
        self._window = np.uint64(pifo.window)
        self._node_mask = np.uint64(pifo.node_mask)
        self._states = states.memory
        self._nodes = nodes.memory

    def length(self, group: int = 0) -> int:
        """Return how many are in it. IndexError if there is no such group."""
        state = self._states[group]
        return int(state["in_window"]) + int(state["in_heap"])

    def counts(self, group: int = 0) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Return the ranks that there are, ascending, and how many have each: two arrays of (n,).

        Ranks that are equal by granularity are the lowest of them. IndexError if there is no such group.
        """
        state = self._states[group]
        heads = state["buckets"]["head"].copy()
        buckets = np.flatnonzero(heads).astype(np.uint64)
        first = state["first"]
        in_window = first + (buckets - first) % self._window
        lengths = _lengths(self._nodes["following"])
        listed = lengths[np.minimum(heads[heads != 0], len(lengths) - 1)]
        entries = state["heap"][: state["in_heap"]] & self._node_mask
        in_heap = self._nodes["rank"][np.minimum(entries, len(self._nodes) - 1)] >> self._shift
        ranks, which = np.unique(np.concatenate([in_window, in_heap]), return_inverse=True)
        counts = np.bincount(which, np.concatenate([listed, np.ones(len(in_heap))]), len(ranks))
        return ranks << self._shift, counts.astype(np.int64)


def _lengths(following: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return the length of the list that begins at each node; 0 is none.

    Pointer jumping: each round knows twice as far ahead as the one before. It ends even if lists are torn.
    """
    after = np.concatenate([[0], following[:-1]])  # the last belongs to nobody
    after[after >= len(after)] = 0
    lengths = np.ones(len(after), np.int64)
    lengths[0] = 0
    for _ in range(len(after).bit_length()):
        lengths += lengths[after]
        after = after[after]
    return np.minimum(lengths, len(following) - 1)
