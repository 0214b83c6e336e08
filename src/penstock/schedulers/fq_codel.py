"""Fair queueing of flows by deficit round robin, new and sparse flows first, with CoDel for each.

Høiland-Jørgensen, McKenney, Taht, Gettys and Dumazet, The Flow Queue CoDel Packet Scheduler and Active Queue
Management Algorithm (RFC 8290). The lists of new and of old queues are one PIFO of two ranks.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Struct, global_subprogram, i64, u32, u64
from penstock.queue.fifo import Backlog, Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.schedulers.codel import Codel
from penstock.units import count, size

NEW: Final = 0
OLD: Final = 1

ASK_NEXT: Final = 0xFFFF_FFFF

MAX_VISITS: Final = 1024
"""To queues at one dequeue, which is then asked again; the verifier takes a hundred steps for each."""

BATCH: Final = 64
"""Packets dropped at most, when all room is taken, for one search of the longest queue (RFC 8290, 4.1)."""


LEAST_QUANTUM: Final = 64
"""bytes; RFC 8290, 4.3, advises 300 on slow links. With less, packets would take too many visits."""

LARGEST_QUANTUM: Final = 1 << 20
"""bytes, as in Linux (FQ_CODEL_QUANTUM_MAX): so much goes to one flow before others have their turn."""

MOST_QUEUES: Final = 1 << 16
"""As in Linux: all of them are searched for the longest."""


def quantum_size(text: str) -> int:
    """Return bytes as `size` does. ValueError if they are not from 64 to 1 MB."""
    return quantum_from(LEAST_QUANTUM, text)


def quantum_from(least: int, text: str) -> int:
    """Return bytes as `size` does. ValueError if they are not from `least` to 1 MB."""
    value = size(text)
    if not least <= value <= LARGEST_QUANTUM:
        raise ValueError(f"a quantum of {text}: it must be at least {least} bytes, and at most 1mb")
    return value


def queue_count(text: str) -> int:
    """Return a number of queues. ValueError if it is not from 1 to 65,536."""
    value = count(text)
    if value > MOST_QUEUES:
        raise ValueError(f"{text} queues: there may be {MOST_QUEUES}")
    return value


class Turn(Struct):
    """What a queue may send before it is the next one's turn."""

    credits: i64
    active: u32


class Longest(Struct):
    """The queue of the most bytes."""

    number: u32
    bytes: u32


class FqCodel(Codel):
    """Flows share the link equally; sparse ones wait for none, and CoDel keeps every queue short.

    When as many packets wait as can, half of the queue of the most bytes is dropped, from its head.
    """

    queues = Parameter(queue_count, "1024", "queues that flows are hashed to")
    quantum = Tunable(quantum_size, "1514", "bytes that a queue may send in its turn, 64 or more")

    def setup(self) -> None:
        self.make_lists(self.queues)
        self.turns = ArrayMap(Turn, self.queues, name="turns")
        self.active = Pifo(self.queues, window=64, name="active")

    def queue_of(self, packet: QueuedPacket) -> u32:
        """Return the number of the queue for a packet; what shares one is a flow."""
        return packet.flow % self.queues

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = self.queue_of(packet)
        turn = self.turns.lookup(number)
        if turn is None or not self.waiting.append(packet, number):
            return False
        if turn.active == 0:
            turn.active, turn.credits = 1, i64(self.quantum.value)
            self.active.push(NEW, u64(number))
        return True

    def dequeue(self, now: u64) -> QueuedPacket | None:
        for _ in range(MAX_VISITS):
            answer = self._visit(now)
            if answer != ASK_NEXT:
                return self.packets.at(answer - 1)
        return None

    @global_subprogram
    def _visit(self, now: u64) -> u32:
        """Ask the first queue for a packet: its number and one; 0 if there is no queue, or ASK_NEXT."""
        first = self.active.peek()
        if first is None:
            return 0
        number, rank = u32(first.value), first.rank
        turn = self.turns.lookup(number)
        if turn is None:
            return 0
        packet = self.next_of(number, now) if turn.credits > 0 else None
        if packet is not None:
            turn.credits -= i64(packet.length)
            return packet.slot + 1
        self.active.pop()
        if turn.credits <= 0 or rank == NEW:
            turn.credits += i64(self.quantum.value) if turn.credits <= 0 else 0
            self.active.push(OLD, u64(number))
        else:
            turn.active = 0
        return ASK_NEXT

    def make_room(self, now: u64) -> QueuedPacket | None:
        return half_of_longest(self, self.waiting)


def half_of_longest(scheduler: Scheduler, waiting: Fifos) -> QueuedPacket | None:
    """Drop half of the longest list from its head, 64 packets at most, so that the search is seldom.

    The last of them is returned instead, out of its list; None if all lists are empty.
    """
    longest = Longest()
    waiting.lists.for_each(longer, longest)
    packet = waiting.pop(longest.number)
    for _ in range(BATCH - 1):
        backlog = waiting.backlog(longest.number)
        if packet is None or backlog is None or backlog.bytes <= longest.bytes // 2:
            break
        scheduler.drop(packet)
        packet = waiting.pop(longest.number)
    return packet


def longer(number: u32, backlog: Backlog, longest: Longest) -> int:
    """Note which queue has most bytes."""
    if backlog.bytes > longest.bytes:
        longest.number, longest.bytes = number, backlog.bytes
    return 0
