"""A programmable priority queue (PIFO: push in anywhere, first out), exact for all 64-bit ranks.

Two parts share one pool of nodes. The window is a circular array of buckets, one for each rank from that of
the last pop on, each a list in FIFO order, under two levels of bits (find first set): constant time.
The heap takes every rank that is not in the window, in the past or far ahead, and keeps equal ranks in FIFO
order by a number that counts pushes. A pop takes the lower of the two; if they are equal the heap's is older,
since a rank that waits in the window stays in it, and so does all that is pushed with it.

PIFO: Sivaraman et al., Programmable Packet Scheduling at Line Rate (SIGCOMM 2016). Circular find-first-set
queue: Saeed et al., Eiffel (NSDI 2019), here with one window that slides instead of two that take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.lang import Array, ArrayMap, Struct, array, global_subprogram, u32, u64
from penstock.queue.bits import lowest_bit

MAX_WINDOW: Final = 64 * 64
"""Two levels of 64 bits each."""

MAX_CAPACITY: Final = 1 << 20

_WORD: Final = 64


class Item(Struct):
    """What was pushed. After a pop it stays readable until the next push."""

    rank: u64
    value: u64


class Bucket(Struct):
    """A list of nodes with one rank; both are 0 if it is empty."""

    head: u32
    tail: u32


class Waiting(Struct):
    """An entry of the heap: the rank in steps, then the order of pushes with the node in its lowest bits."""

    rank: u64
    order: u64


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
    """Nodes that were ever used; the others are in no list yet."""
    free: u32
    """First of the nodes that are free again, and one; 0 if there is none."""

    if TYPE_CHECKING:
        words: Array[u64]
        buckets: Array[Bucket]
        following: Array[u32]
        items: Array[Item]
        heap: Array[Waiting]


def _state_type(window: int, capacity: int) -> type[PifoState]:
    class State(PifoState):
        words: Array[u64] = array(window // _WORD)
        buckets: Array[Bucket] = array(window)
        following: Array[u32] = array(2 * capacity)
        items: Array[Item] = array(capacity)
        heap: Array[Waiting] = array(capacity)

    return State


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


class Pifo:
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
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"a window of {window} ranks: from 1 to {MAX_WINDOW}")
        if granularity < 1 or granularity & (granularity - 1):
            raise ValueError(f"a granularity of {granularity}: it must be a power of two")
        self.capacity = capacity
        self.shift = granularity.bit_length() - 1
        size = _power_of_two(capacity)
        self.node_bits = size.bit_length() - 1
        self.node_mask = size - 1
        self.list_mask = 2 * size - 1
        self.window = max(_power_of_two(window), _WORD)
        self.bucket_mask = self.window - 1
        self.states = ArrayMap(_state_type(self.window, size), groups, name=name)

    def push(self, rank: u64, value: u64, group: u32 = 0) -> bool:
        """Add a value; False if it is full, or there is no such group."""
        state = self.states.lookup(group)
        if state is None:
            return False
        node = self._take(state)
        if node == 0:
            return False
        item = state.items[(node - 1) & self.node_mask]
        item.rank, item.value = rank, value
        step = rank >> self.shift
        inside = step >= state.first and step - state.first < self.window
        if state.in_window == 0 and not inside:
            state.first, inside = step, True
        if inside:
            self._append(state, u32(step) & self.bucket_mask, node)
        else:
            self._push_heap(state, step, node)
        return True

    def pop(self, group: u32 = 0) -> Item | None:
        """Take out the first item and return it, or None."""
        state = self.states.lookup(group)
        if state is None or state.in_window + state.in_heap == 0:
            return None
        bucket = self._first_bucket(state)
        node = self._pop_heap(group) if self._heap_is_first(state, bucket) else self._shift(state, bucket)
        state.following[node & self.list_mask] = state.free
        state.free = node
        return state.items[(node - 1) & self.node_mask]

    def peek(self, group: u32 = 0) -> Item | None:
        """Return the first item and leave it, or None."""
        state = self.states.lookup(group)
        if state is None or state.in_window + state.in_heap == 0:
            return None
        bucket = self._first_bucket(state)
        in_heap = self._heap_is_first(state, bucket)
        node = u32(state.heap[0].order) + 1 if in_heap else state.buckets[bucket].head
        return state.items[(node - 1) & self.node_mask]

    def length(self, group: u32 = 0) -> u32:
        """Return how many items it holds."""
        state = self.states.lookup(group)
        return state.in_window + state.in_heap if state is not None else 0

    def _take(self, state: PifoState) -> u32:
        """A free node's number and one; 0 if all are in use."""
        node = state.free
        if node != 0:
            state.free = state.following[node & self.list_mask]
            return node
        if state.used >= self.capacity:
            return 0
        state.used += 1
        return state.used

    def _append(self, state: PifoState, number: u32, node: u32) -> None:
        """Put a node at the end of a bucket's list, without a branch on whether there is one."""
        bucket, word = state.buckets[number], number >> 6
        if_empty = u32(u64(bucket.tail) - 1 >> 32)
        bucket.head |= node & if_empty
        state.following[bucket.tail & self.list_mask] = node
        state.following[node & self.list_mask] = 0
        bucket.tail = node
        state.words[word] |= 1 << u64(number & 63)
        state.summary |= 1 << u64(word)
        state.in_window += 1

    def _shift(self, state: PifoState, number: u32) -> u32:
        """Take the first node from a bucket's list, and let the window begin there."""
        bucket, word = state.buckets[number], number >> 6
        node = bucket.head
        bucket.head = state.following[node & self.list_mask]
        empty = u64(bucket.head) - 1 >> 63
        bucket.tail &= u32(empty) - 1
        state.words[word] &= ~(empty << u64(number & 63))
        if state.words[word] == 0:
            state.summary &= ~(1 << u64(word))
        state.first += u64((number - u32(state.first)) & self.bucket_mask)
        state.in_window -= 1
        return node

    def _first_bucket(self, state: PifoState) -> u32:
        """The bucket of the lowest rank in the window, any if that is empty."""
        at = u32(state.first) & self.bucket_mask
        word = at >> 6
        bits = state.words[word] & (0xFFFF_FFFF_FFFF_FFFF << u64(at & 63))
        if bits == 0:
            later = state.summary & (0xFFFF_FFFF_FFFF_FFFE << u64(word))
            word = lowest_bit(later if later != 0 else state.summary) & (self.bucket_mask >> 6)
            bits = state.words[word]
        return (word << 6 | lowest_bit(bits)) & self.bucket_mask

    def _heap_is_first(self, state: PifoState, bucket: u32) -> bool:
        """Whether the first item is the heap's; `bucket` is the window's first."""
        if state.in_window == 0 or state.in_heap == 0:
            return state.in_window == 0
        ahead = u64((bucket - u32(state.first)) & self.bucket_mask)
        return state.heap[0].rank <= state.first + ahead

    def _push_heap(self, state: PifoState, rank: u64, node: u32) -> None:
        """Put a node into the heap, younger than all that have its rank."""
        state.pushes += 1
        state.in_heap += 1
        self._rise(state, state.in_heap - 1, rank, state.pushes << self.node_bits | u64(node - 1))

    @global_subprogram
    def _pop_heap(self, group: u32) -> u32:
        """Take the first node from the heap, and fill the gap that it leaves with the last entry.

        The gap sinks to the bottom, the lower child rising each time, and the entry rises from there: it
        belongs near the bottom (Wegener, Bottom-up heapsort, 1993).
        """
        state = self.states.lookup(group)
        if state is None:
            return 0
        node = (u32(state.heap[0].order) & self.node_mask) + 1
        state.in_heap -= 1
        gap: u32 = 0
        for _ in range(self.node_bits):
            left = 2 * gap + 1
            if left >= state.in_heap:
                break
            one, other = state.heap[left & self.node_mask], state.heap[(left + 1) & self.node_mask]
            lower = left + u32(_is_before(other.rank, other.order, one.rank, one.order))
            entry = state.heap[lower & self.node_mask]
            self._put(state, gap, entry.rank, entry.order)
            gap = lower
        last = state.heap[state.in_heap & self.node_mask]
        self._rise(state, gap, last.rank, last.order)
        return node

    def _rise(self, state: PifoState, gap: u32, rank: u64, order: u64) -> None:
        """Move a gap up to where an entry belongs, and fill it."""
        for _ in range(self.node_bits):
            above = state.heap[((gap - 1) >> 1) & self.node_mask]
            if gap == 0 or _is_before(rank, order, above.rank, above.order) == 0:
                break
            self._put(state, gap, above.rank, above.order)
            gap = (gap - 1) >> 1
        self._put(state, gap, rank, order)

    def _put(self, state: PifoState, at: u32, rank: u64, order: u64) -> None:
        entry = state.heap[at & self.node_mask]
        entry.rank, entry.order = rank, order


def _is_before(rank: u64, order: u64, other_rank: u64, other_order: u64) -> u64:
    """1 if an entry comes before another, else 0: the borrow of a subtraction (Hacker's Delight, 2-16).

    Data would mislead the prediction of a branch every second time, and have the verifier walk both ways.
    """
    borrow = (order - other_order) >> 63
    difference = rank - other_rank - borrow
    return (~rank & other_rank | ~(rank ^ other_rank) & difference) >> 63
