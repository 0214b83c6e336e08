"""Shortest remaining processing time: the flow with the least still to send goes first.

Schrage, A Proof of the Optimality of the Shortest Remaining Processing Time Discipline (Operations Research
16(3), 1968). What a flow has still to send here is what its sender had when it sent the oldest packet that
waits. So flows are ranked by that packet, and anew when it has left, as in Saeed et al., Eiffel (NSDI
2019), and no packet overtakes others of its flow.
"""

from __future__ import annotations

from penstock.lang import u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import Parameter, Scheduler
from penstock.units import count


class Srpt(Scheduler):
    """The shortest flow first, as senders mark it: from DSCP 0, least still to come, to 63, most.

    When as many packets wait as can, one that arrives is dropped, whatever its flow. Where more is known than
    DSCP says, derive from this class and override `remaining`.
    """

    flows = Parameter(count, "1024", "queues that flows are hashed to")

    def setup(self) -> None:
        self.waiting = Fifos(self.packets, self.flows)
        self.order = Pifo(self.flows, window=64, name="order")

    def remaining(self, packet: QueuedPacket) -> u64:
        """Return what the flow of a packet that arrives has still to send, in any unit."""
        return u64(packet.dscp)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = packet.flow % self.flows
        packet.rank = self.remaining(packet)
        if self.waiting.peek(number) is None:
            self.order.push(packet.rank, u64(number))
        return self.waiting.append(packet, number)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        first = self.order.pop()
        if first is None:
            return None
        number = u32(first.value)
        packet, following = self.waiting.pop(number), self.waiting.peek(number)
        if following is not None:
            self.order.push(following.rank, u64(number))
        return packet
