"""A programmable priority queue (PIFO: push in anywhere, first out) of any values, with room for them."""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Struct, u32, u64
from penstock.queue.ranked import Ranked

MAX_CAPACITY: Final = 1 << 20


class Item(Struct):
    """What was pushed. After a pop it stays readable until the next push."""

    rank: u64
    value: u64
    following: u32
    """In a list of items with one rank, or of free ones: the next one's number and one."""


class Pifo(Ranked[Item]):
    """Values in the order of their ranks, 64 bits each; first in, first out for equal ranks.

    Args:
        capacity: How many it holds, up to 1,048,576.
        window: How many different ranks, from the last one popped on, take constant time; others take the
            logarithm of their number. Up to 4096.
        granularity: Ranks that are equal when divided by it are equal: a power of two.
        groups: So many separate PIFOs, of that capacity each; the methods take a number below.

    Its methods are for programs, and for one of them at a time: nothing in it is atomic.
    """

    def __init__(
        self, capacity: int, *, window: int = 1024, granularity: int = 1, groups: int = 1, name: str = "pifo"
    ) -> None:
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ValueError(f"a PIFO of {capacity}: it holds 1 to {MAX_CAPACITY}")
        items = ArrayMap(Item, groups * capacity + 1, name=f"{name}_items")
        super().__init__(items, capacity, window, granularity, groups, name)

    def push(self, rank: u64, value: u64, group: u32 = 0) -> bool:
        """Add a value; False if it is full, or there is no such group."""
        state = self.states.lookup(group)
        if state is None or (state.free == 0 and state.used >= self.capacity):
            return False
        node = state.free if state.free != 0 else group * self.capacity + state.used + 1
        item = self.nodes.lookup(node - 1)
        if item is None:
            return False
        if state.free != 0:
            state.free = item.following
        else:
            state.used += 1
        item.rank, item.value, item.following = rank, value, 0
        self.insert(state, group, node, rank)
        return True

    def pop(self, group: u32 = 0) -> Item | None:
        """Take out the first item and return it, or None."""
        state = self.states.lookup(group)
        if state is None:
            return None
        node, bucket = self.first(state)
        item = self.nodes.lookup(node - 1)
        if item is not None:
            self.remove(state, group, bucket, item.following)
            item.following, state.free = state.free, node
        return item

    def peek(self, group: u32 = 0) -> Item | None:
        """Return the first item and leave it, or None."""
        state = self.states.lookup(group)
        if state is None:
            return None
        node, _ = self.first(state)
        return self.nodes.lookup(node - 1)
