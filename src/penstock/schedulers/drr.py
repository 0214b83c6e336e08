"""Deficit round robin.

Shreedhar and Varghese, Efficient Fair Queuing using Deficit Round Robin (SIGCOMM 1995): flows take turns,
each turn adds a quantum to what the flow may send, and what it does not use stays for its next turn unless
it has nothing more to send. When as many packets wait as can, the longest queue makes room: McKenney's buffer
stealing, as there, but half of the queue at once (RFC 8290, section 4.1), so that the search is seldom.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Global, Struct, global_subprogram, u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.schedulers.fq_codel import half_of_longest, quantum_from, queue_count

VISITS: Final = 64
"""Turns at one dequeue. With a quantum of the largest packet or more, two are enough."""

NONE: Final = 0
AGAIN: Final = 1
FOUND: Final = 2
"""And more: the number of the packet's slot."""

LEAST_QUANTUM: Final = 1514
"""A full Ethernet frame, so that almost every turn sends something: the work of a departure is bounded."""


def full_frames(text: str) -> int:
    """Return bytes as `size` does. ValueError if they are not from LEAST_QUANTUM to 1 MB."""
    return quantum_from(LEAST_QUANTUM, text)


class Flow(Struct):
    """A flow, in a list if it has packets: its turn comes after that of those before."""

    deficit: u64
    """Bytes that it may send."""
    following: u32
    """Number of the next flow and one; 0 at the end."""
    listed: u32


class Turns(Struct):
    """The list of flows that have packets."""

    first: u32
    """Number of the flow whose turn it is, and one; 0 if there is none."""
    last: u32
    begun: u32
    """Whether the first has been given its quantum."""


class Drr(Scheduler):
    """Flows take turns; each may send so many bytes in its turn.

    When as many packets wait as can, half of the queue of the most bytes is dropped, from its head.
    """

    quantum = Tunable(full_frames, "1514", "bytes that a flow may send in each turn, 1514 or more")
    flows = Parameter(queue_count, "1024", "queues that flows are hashed to")

    def setup(self) -> None:
        self.waiting = Fifos(self.packets, self.flows)
        self.table = ArrayMap(Flow, self.flows, name="flows")
        self.turns = Global(Turns, name="turns")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = packet.flow % self.flows
        flow = self.table.lookup(number)
        if flow is not None and flow.listed == 0:
            flow.deficit = 0
            self.add(flow, number)
        return self.waiting.append(packet, number)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        for _ in range(VISITS):
            visited = self.visit()
            if visited == NONE:
                return None
            if visited != AGAIN:
                return self.packets.at(visited - FOUND)
        return None

    def make_room(self, now: u64) -> QueuedPacket | None:
        return half_of_longest(self, self.waiting)

    @global_subprogram
    def visit(self) -> u32:
        """Go on with the turn of the first flow: NONE if there is none, AGAIN if it ends."""
        turns = self.turns.value
        number = turns.first - 1
        flow = self.table.lookup(number)
        if flow is None:
            return NONE
        if turns.begun == 0:
            turns.begun = 1
            flow.deficit += self.quantum.value
        packet = self.waiting.peek(number)
        if packet is not None and u64(packet.length) <= flow.deficit:
            self.waiting.pop(number)
            flow.deficit -= u64(packet.length)
            return FOUND + packet.slot
        turns.first, turns.begun, flow.listed = flow.following, 0, 0
        if packet is not None:
            self.add(flow, number)
        return AGAIN

    def add(self, flow: Flow, number: u32) -> None:
        """Put a flow at the end of the list."""
        turns = self.turns.value
        flow.listed, flow.following = 1, 0
        last = self.table.lookup(turns.last - 1)
        if turns.first == 0 or last is None:
            turns.first = number + 1
        else:
            last.following = number + 1
        turns.last = number + 1
