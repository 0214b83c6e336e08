"""The flow with least still to send first: penstock queue run ./examples/pfabric.py --from eth0 --to eth1.

Alizadeh et al., pFabric: Minimal Near-Optimal Datacenter Transport (SIGCOMM 2013). First goes the flow that
has the packet with least still to come, and of that flow the oldest packet. So each one that arrives or
leaves may change the rank of all the others of its flow: per-flow ranking, an extension of PIFO by Saeed et
al., Eiffel: Efficient and Flexible Software Packet Scheduling (NSDI 2019).

Flows wait in a PIFO. To move one, it is pushed again. Its old place is passed over when its turn comes, and
is used again should the flow come back before. So a flow has one place for each rank at most, and always has
room.
"""

from penstock.lang import Array, ArrayMap, Struct, array, global_subprogram, u32, u64
from penstock.queue import Fifos, Parameter, Pifo, QueuedPacket, Scheduler, count
from penstock.queue.bits import lowest_bit

RANKS = 64
PLACES = 256  # that are looked at in one dequeue, which is then asked again
NOBODY, PASSED_OVER = 0xFFFF_FFFE, 0xFFFF_FFFF  # in place of a flow's number


class Flow(Struct):
    packets: Array[u32] = array(RANKS)  # of each rank, that wait
    ranks: u64  # that packets have, a bit for each
    places: u64  # ranks at which it is in the PIFO


class Pfabric(Scheduler):
    """The shortest flow first, as senders mark its packets: from DSCP 0, least still to come, to 63, most.

    When as many packets wait as can, one that arrives is dropped, whatever its flow.
    """

    flows = Parameter(count, "1024", "queues that flows are hashed to")

    def setup(self) -> None:
        self.waiting = Fifos(self.packets, self.flows)
        self.table = ArrayMap(Flow, self.flows)
        self.order = Pifo(RANKS * self.flows, window=RANKS)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number, rank = packet.flow % self.flows, packet.dscp & (RANKS - 1)
        flow = self.table.lookup(number)
        if flow is None:
            return False
        flow.packets[rank] += 1
        flow.ranks |= 1 << u64(rank)
        self.place(flow, number)
        return self.waiting.append(packet, number)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        number: u32 = PASSED_OVER
        for _ in range(PLACES):
            number = self.first()
            if number != PASSED_OVER:
                break
        flow, packet = self.table.lookup(number), self.waiting.pop(number)
        if flow is None or packet is None:
            return None
        rank = packet.dscp & (RANKS - 1)
        flow.packets[rank] -= 1
        if flow.packets[rank] == 0:
            flow.ranks &= ~(1 << u64(rank))
        self.place(flow, number)
        return packet

    @global_subprogram
    def first(self) -> u32:
        """Take out the first place: the number of its flow, if that is at this rank."""
        first = self.order.pop()
        flow = self.table.lookup(u32(first.value)) if first is not None else None
        if first is None or flow is None:
            return NOBODY
        flow.places &= ~(1 << first.rank)
        return u32(first.value) if u64(lowest_bit(flow.ranks)) == first.rank else PASSED_OVER

    def place(self, flow: Flow, number: u32) -> None:
        """See to it that the PIFO has a flow at its rank: the lowest of its packets'."""
        rank = u64(lowest_bit(flow.ranks))
        if flow.ranks != 0 and flow.places >> rank & 1 == 0:
            flow.places |= 1 << rank
            self.order.push(rank, u64(number))
