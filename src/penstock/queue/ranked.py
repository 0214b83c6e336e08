"""The algorithm of a PIFO (push in anywhere, first out), exact for all 64-bit ranks.

It orders nodes: entries of a map that have a rank and can be linked, whatever else they are. The window is a
circular array of buckets, one for each rank from that of the last pop on, each a list in FIFO order, under
two levels of bits (find first set): constant time. The heap takes every rank that is not in the window, in
the past or far ahead, and keeps equal ranks in FIFO order by a number that counts pushes. A pop takes the
lower of the two; if they are equal the heap's is older, since a rank that waits in the window stays in it,
and so does all that is pushed with it.

PIFO: Sivaraman et al., Programmable Packet Scheduling at Line Rate (SIGCOMM 2016). Circular find-first-set
queue: Saeed et al., Eiffel (NSDI 2019), here with one window that slides instead of two that take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from penstock.lang import Array, ArrayMap, Struct, array, global_subprogram, u32, u64
from penstock.queue.bits import lowest_bit

MAX_WINDOW: Final = 64 * 64
"""Two levels of 64 bits each."""

IN_HEAP: Final = 0xFFFF_FFFF
"""In place of a bucket's number."""

_WORD: Final = 64


class Node(Protocol):
    """What is ordered. Whoever has pushed it changes neither before it is popped."""

    rank: u64
    following: u32
    """In a bucket's list: the next one; 0 at the end. In the heap: the lower half of its push's number."""


NodeT = TypeVar("NodeT", bound=Node)


class Bucket(Struct):
    """A list of nodes with one rank; both are 0 if it is empty."""

    head: u32
    tail: u32


class PifoState(Struct):
    """One PIFO. What derives from it has the arrays, as long as that PIFO needs them."""

    first: u64
    """Lowest rank in the window, in steps."""
    pushes: u64
    summary: u64
    """Which words have a bit set."""
    in_window: u32
    in_heap: u32
    used: u32
    """Nodes that were ever used, where nodes are the PIFO's own."""
    free: u32
    """The first of those that are free again; 0 if there is none."""

    if TYPE_CHECKING:
        words: Array[u64]
        buckets: Array[Bucket]
        heap: Array[u32]
        """Numbers of nodes, which know their rank, below upper bits of their push's number."""


def _state_type(window: int, capacity: int) -> type[PifoState]:
    class State(PifoState):
        words: Array[u64] = array(window // _WORD)
        buckets: Array[Bucket] = array(window)
        heap: Array[u32] = array(capacity)

    return State


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


class Ranked(Generic[NodeT]):
    """Nodes in the order of their ranks; a node is the number of an entry of `nodes` and one.

    Args:
        nodes: Where they are.
        capacity: How many are in it at most.
        window: How many different ranks, from the last one popped on, take constant time; others take the
            logarithm of their number. Up to 4096.
        granularity: Ranks that are equal when divided by it are equal: a power of two.
        groups: So many separate PIFOs, of that capacity each.
        name: Of its map.
    """

    def __init__(
        self, nodes: ArrayMap[NodeT], capacity: int, window: int, granularity: int, groups: int, name: str
    ) -> None:
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"a window of {window} ranks: from 1 to {MAX_WINDOW}")
        if granularity < 1 or granularity & (granularity - 1):
            raise ValueError(f"a granularity of {granularity}: it must be a power of two")
        self.nodes = nodes
        self.none = nodes.entries
        self.capacity = capacity
        self.shift = granularity.bit_length() - 1
        self.step_mask = (1 << 64) - granularity
        size = _power_of_two(capacity)
        self.levels = size.bit_length() - 1
        self.heap_mask = size - 1
        self.node_bits = nodes.entries.bit_length()
        self.node_mask = (1 << self.node_bits) - 1
        self.window = max(_power_of_two(window), _WORD)
        self.bucket_mask = self.window - 1
        self.states = ArrayMap(_state_type(self.window, size), groups, name=name)

    def length(self, group: u32 = 0) -> u32:
        """Return how many nodes wait."""
        state = self.states.lookup(group)
        return state.in_window + state.in_heap if state is not None else 0

    def insert(self, state: PifoState, group: u32, node: u32, rank: u64) -> None:
        """Add a node that has that rank, and 0 for what follows it."""
        step = rank >> self.shift
        inside = step >= state.first and step - state.first < self.window
        if state.in_window == 0 and not inside:
            state.first, inside = step, True
        if inside:
            self._append(state, u32(step) & self.bucket_mask, node)
        else:
            self._push_heap(group, node, rank & self.step_mask)

    def first(self, state: PifoState) -> tuple[u32, u32]:
        """Return the first node, 0 if there is none, and the bucket that it is in, or IN_HEAP."""
        if state.in_window + state.in_heap == 0:
            return 0, 0
        bucket = self._first_bucket(state)
        if self._heap_is_first(state, bucket):
            return (state.heap[0] & self.node_mask) + 1, IN_HEAP
        return state.buckets[bucket].head, bucket

    def remove(self, state: PifoState, group: u32, bucket: u32, following: u32) -> None:
        """Take out the first node, which is in that bucket and followed by that node."""
        if bucket == IN_HEAP:
            self._pop_heap(group)
        else:
            self._shift(state, bucket & self.bucket_mask, following)

    def _append(self, state: PifoState, number: u32, node: u32) -> None:
        """Put a node at the end of a bucket's list."""
        bucket, word = state.buckets[number], number >> 6
        if_empty = u32(u64(bucket.tail) - 1 >> 32)
        last = self.nodes.lookup(bucket.tail - 1 + (if_empty & self.none))
        if last is not None:
            last.following = node
        bucket.head |= node & if_empty
        bucket.tail = node
        state.words[word] |= 1 << u64(number & 63)
        state.summary |= 1 << u64(word)
        state.in_window += 1

    def _shift(self, state: PifoState, number: u32, following: u32) -> None:
        """Take the first node from a bucket's list, and let the window begin there."""
        bucket, word = state.buckets[number], number >> 6
        bucket.head = following
        empty = u64(following) - 1 >> 63
        bucket.tail &= u32(empty) - 1
        state.words[word] &= ~(empty << u64(number & 63))
        if state.words[word] == 0:
            state.summary &= ~(1 << u64(word))
        state.first += u64((number - u32(state.first)) & self.bucket_mask)
        state.in_window -= 1

    def _first_bucket(self, state: PifoState) -> u32:
        """The bucket of the lowest rank in the window, any if that is empty."""
        at = u32(state.first) & self.bucket_mask
        word = at >> 6
        bits = state.words[word] & (0xFFFF_FFFF_FFFF_FFFF << u64(at & 63))
        if bits == 0:
            later = state.summary & (0xFFFF_FFFF_FFFF_FFFE << u64(word))
            word = lowest_bit(later if later != 0 else state.summary) & (self.bucket_mask >> 6)
            bits = state.words[word]
        # A sum: after `|` LLVM would see that no mask is needed, and the verifier of Linux 6.1 would not.
        return ((word << 6) + lowest_bit(bits)) & self.bucket_mask

    def _heap_is_first(self, state: PifoState, bucket: u32) -> bool:
        """Whether the first node is the heap's; `bucket` is the window's first."""
        if state.in_window == 0 or state.in_heap == 0:
            return state.in_window == 0
        ahead = u64((bucket - u32(state.first)) & self.bucket_mask)
        rank, _ = self._key(state.heap[0])
        return rank <= state.first + ahead << self.shift

    @global_subprogram
    def _push_heap(self, group: u32, node: u32, rank: u64) -> u32:
        """Put a node into the heap, younger than all that have its rank."""
        state = self.states.lookup(group)
        entered = self.nodes.lookup(node - 1)
        if state is None or entered is None:
            return 0
        state.pushes += 1
        state.in_heap += 1
        entered.following = u32(state.pushes)
        entry = u32(state.pushes >> 32) << self.node_bits | node - 1
        self._rise(state, state.in_heap - 1, entry, rank, state.pushes)
        return 0

    @global_subprogram
    def _pop_heap(self, group: u32) -> u32:
        """Take the first node from the heap, and fill the gap that it leaves with the last entry.

        The gap sinks to the bottom, the lower child rising each time, and the entry rises from there: it
        belongs near the bottom (Wegener, Bottom-up heapsort, 1993).
        """
        state = self.states.lookup(group)
        if state is None:
            return 0
        state.in_heap -= 1
        gap: u32 = 0
        for _ in range(self.levels):
            left = 2 * gap + 1
            if left >= state.in_heap:
                break
            one, other = state.heap[left & self.heap_mask], state.heap[(left + 1) & self.heap_mask]
            rank, push = self._key(one)
            other_rank, other_push = self._key(other)
            older = self._is_older(other_push, push)
            lower = left + u32(older if other_rank == rank else _is_lower(other_rank, rank, 0))
            state.heap[gap & self.heap_mask] = state.heap[lower & self.heap_mask]
            gap = lower
        last = state.heap[state.in_heap & self.heap_mask]
        rank, push = self._key(last)
        self._rise(state, gap, last, rank, push)
        return 0

    def _rise(self, state: PifoState, gap: u32, entry: u32, rank: u64, push: u64) -> None:
        """Move a gap up to where an entry belongs, and fill it."""
        for _ in range(self.levels):
            above = state.heap[((gap - 1) >> 1) & self.heap_mask]
            above_rank, above_push = self._key(above)
            if gap == 0 or _is_lower(rank, above_rank, self._is_older(push, above_push)) == 0:
                break
            state.heap[gap & self.heap_mask] = above
            gap = (gap - 1) >> 1
        state.heap[gap & self.heap_mask] = entry

    def _key(self, entry: u32) -> tuple[u64, u64]:
        """The lowest rank of the step of an entry's node, and the number of its push but for `node_bits`."""
        node = self.nodes.lookup(entry & self.node_mask)
        if node is None:
            return 0, 0
        return node.rank & self.step_mask, u64(entry >> self.node_bits) << 32 | u64(node.following)

    def _is_older(self, push: u64, other_push: u64) -> u64:
        """1 if the number of a push is before another's, else 0."""
        return (push - other_push << self.node_bits) >> 63


def _is_lower(rank: u64, other_rank: u64, or_equal: u64) -> u64:
    """1 if a rank is lower than another, or, if `or_equal` is 1, equal to it; else 0.

    It is the borrow of a subtraction (Hacker's Delight, 2-16). A branch would be predicted wrong every second
    time, and have the verifier walk both ways.
    """
    difference = rank - other_rank - or_equal
    return (~rank & other_rank | ~(rank ^ other_rank) & difference) >> 63
