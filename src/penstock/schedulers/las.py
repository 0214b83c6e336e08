"""Least attained service: the flow that has sent least goes first, for where sizes are not known.

Rai, Urvoy-Keller, Vernon and Biersack, Performance Analysis of LAS-based Scheduling Disciplines in a Packet
Switched Network (SIGMETRICS 2004). What a flow will have sent when a packet's turn comes is what arrived
before it.
"""

from __future__ import annotations

from penstock.lang import ArrayMap, Struct, u64
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Tunable
from penstock.schedulers.srpt import Srpt
from penstock.units import duration


class Attained(Struct):
    """What arrived of a flow and did not pass an idle link, in bytes, and when the last of it arrived."""

    bytes: u64
    last: u64


class Las(Srpt):
    """The flow that has sent least first, of what had to wait; after a silence a flow counts as new.

    When as many packets wait as can, one that arrives is dropped, whatever its flow.
    """

    silence = Tunable(duration, "1s", "after so long a flow counts as new")

    def setup(self) -> None:
        super().setup()
        self.attained = ArrayMap(Attained, self.flows, name="attained")

    def remaining(self, packet: QueuedPacket) -> u64:
        flow = self.attained.lookup(packet.flow % self.flows)
        if flow is None:
            return 0
        before = flow.bytes if packet.arrival <= flow.last + self.silence.value else 0
        # What another CPU took may have arrived before the last: packets of all CPUs come here one by one.
        flow.bytes, flow.last = before + u64(packet.length), max(flow.last, packet.arrival)
        return before
