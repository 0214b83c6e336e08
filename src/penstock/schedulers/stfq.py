"""Start-time fair queueing, with weights.

Goyal, Vin and Cheng, Start-time Fair Queueing (SIGCOMM 1996), section 2, as a PIFO program: Sivaraman et
al., Programmable Packet Scheduling at Line Rate (SIGCOMM 2016).
So that no flow takes the room of others, one that has as many packets waiting as there is room left may add
none: Choudhury and Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches (IEEE/ACM
Transactions on Networking 6(2), 1998), with alpha 1.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Global, Struct, u32, u64
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.queue.selectors import NAMES, Selectors
from penstock.units import count

FRACTION: Final = 8
"""Virtual time is in bytes of weight 1, in units of 2**-8: 64 bits last 18 years at 1 Gbit/s."""


MAX_WEIGHT: Final = 1000
"""With more, small packets would count as too few units."""


def weight(text: str) -> int:
    """Return a weight. ValueError if it is not from 1 to MAX_WEIGHT."""
    value = count(text)
    if value > MAX_WEIGHT:
        raise ValueError(f"a weight of {text}: it must be from 1 to {MAX_WEIGHT}")
    return value


class Flow(Struct):
    """The finish tag of a flow's last packet, and how many of its packets wait."""

    finish: u64
    waiting: u64


class VirtualTime(Struct):
    """The clock of a fair queue."""

    now: u64
    """The start tag of the packet in service."""
    finished: u64
    """The latest finish tag of those that were served."""


class Stfq(Scheduler):
    """Shares the link among flows by weight, from 1 to 1000, in the order in which they would start.

    What arrives is dropped if its flow has as many packets waiting as there is room left.
    """

    class_names = NAMES

    cs0 = Tunable(weight, "1", "weight of flows of DSCP 0 to 7")
    cs1 = Tunable(weight, "1", "weight of flows of DSCP 8 to 15")
    cs2 = Tunable(weight, "1", "weight of flows of DSCP 16 to 23")
    cs3 = Tunable(weight, "1", "weight of flows of DSCP 24 to 31")
    cs4 = Tunable(weight, "1", "weight of flows of DSCP 32 to 39")
    cs5 = Tunable(weight, "1", "weight of flows of DSCP 40 to 47")
    cs6 = Tunable(weight, "1", "weight of flows of DSCP 48 to 55")
    cs7 = Tunable(weight, "1", "weight of flows of DSCP 56 to 63")
    flows = Parameter(count, "1024", "numbers that flows are hashed to")

    def setup(self) -> None:
        self.waiting = PacketPifo(self.packets, window=64)
        self.table = ArrayMap(Flow, self.flows, name="flows")
        self.time = Global(VirtualTime, name="virtual_time")
        self.weights = Selectors([self.values[f"cs{number}"] for number in range(8)])

    def rank(self, start: u64, finish: u64) -> u64:
        """Return the tag that orders packets; that of the packet in service is the virtual time."""
        return start

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        flow = self.flow_of(packet)
        if flow is None or flow.waiting >= self.packets.capacity - u64(self.waiting.length()):
            return False
        start = max(self.time.value.now, flow.finish)
        flow.finish = start + (u64(packet.length) << FRACTION) // self.weights.at(u32(packet.dscp >> 3))
        flow.waiting += 1
        packet.user[0] = flow.finish
        return self.waiting.push(packet, self.rank(start, flow.finish))

    def dequeue(self, now: u64) -> QueuedPacket | None:
        packet = self.waiting.pop()
        time = self.time.value
        if packet is None:  # a busy period ends
            time.now = time.finished
            return None
        time.now = packet.rank
        time.finished = max(time.finished, packet.user[0])
        flow = self.flow_of(packet)
        if flow is not None:
            flow.waiting -= 1
        return packet

    def flow_of(self, packet: QueuedPacket) -> Flow | None:
        """Return the state of a packet's flow."""
        return self.table.lookup(packet.flow % self.flows)
