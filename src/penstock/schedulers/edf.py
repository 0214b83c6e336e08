"""Earliest deadline first: each packet may wait as long as its class has slack.

Liu and Layland, Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment (Journal of the
ACM 20(1), 1973). At one link, least slack time first is the same (Mittal, Agarwal, Ratnasamy and Shenker,
Universal Packet Scheduling, NSDI 2016) if the slack ends when a packet begins to leave: that of all that
wait shrinks alike.
"""

from __future__ import annotations

from penstock.lang import u32, u64
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Scheduler, Tunable
from penstock.queue.selectors import NAMES, Selectors
from penstock.units import duration


class Edf(Scheduler):
    """The earliest deadline first; what is late leaves all the same.

    When as many packets wait as can, one that arrives is dropped, whatever its deadline.
    """

    class_names = NAMES

    cs0 = Tunable(duration, "100ms", "slack of DSCP 0 to 7")
    cs1 = Tunable(duration, "500ms", "slack of DSCP 8 to 15")
    cs2 = Tunable(duration, "50ms", "slack of DSCP 16 to 23")
    cs3 = Tunable(duration, "20ms", "slack of DSCP 24 to 31")
    cs4 = Tunable(duration, "10ms", "slack of DSCP 32 to 39")
    cs5 = Tunable(duration, "5ms", "slack of DSCP 40 to 47")
    cs6 = Tunable(duration, "1ms", "slack of DSCP 48 to 55")
    cs7 = Tunable(duration, "1ms", "slack of DSCP 56 to 63")

    def setup(self) -> None:
        self.waiting = PacketPifo(self.packets, window=64)
        self.slack = Selectors([self.values[f"cs{number}"] for number in range(8)])

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.push(packet, packet.arrival + self.slack.at(u32(packet.dscp >> 3)))

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.waiting.pop()
