"""Packets at rest: queues that XDP does not have, in maps, with schedulers written in Python.

>>> class Newest(Scheduler):
...     '''Last in, first out.'''
...
...     def setup(self) -> None:
...         self.waiting = PacketPifo(self.packets)
...
...     def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
...         return self.waiting.push(packet, rank=0 - now)
...
...     def dequeue(self, now: u64) -> QueuedPacket | None:
...         return self.waiting.pop()
"""

from penstock.queue.fifo import Fifos
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import Ends, Packets, QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import NEVER, Parameter, Scheduler, Tunable
from penstock.units import count, duration, rate, size

__all__ = [
    "NEVER",
    "Ends",
    "Fifos",
    "PacketPifo",
    "Packets",
    "Parameter",
    "Pifo",
    "QueuedPacket",
    "Scheduler",
    "Tunable",
    "count",
    "duration",
    "rate",
    "size",
]
