"""First in, first out."""

from __future__ import annotations

from penstock.lang import u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Scheduler


class Fifo(Scheduler):
    """First in, first out.

    When as many packets wait as can, one that arrives is dropped.
    """

    def setup(self) -> None:
        self.waiting = Fifos(self.packets)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.append(packet)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.waiting.pop()
