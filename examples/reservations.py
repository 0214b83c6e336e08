"""Strict priority without starvation: penstock queue run ./examples/reservations.py --from eth0 --to eth1.

Each class has a rate of its own. The class that fell behind its rate first goes first; while none is behind,
the most urgent does. Which of the two it is depends on the time at which a packet leaves, so no rank given
on arrival could tell: a decision taken at dequeue, an extension of PIFO by Saeed et al., Eiffel: Efficient
and Flexible Software Packet Scheduling (NSDI 2019). Reservations are as in Billaud and Gulati, hClock:
Hierarchical QoS for Packet Scheduling in a Hypervisor (EuroSys 2013).
"""

from penstock.lang import ArrayMap, Struct, global_subprogram, u32, u64
from penstock.queue import Fifos, Pifo, QueuedPacket, Scheduler, Tunable, rate

CLASSES = 8
LISTED_ANEW, NOBODY = 0xFFFF_FFFE, 0xFFFF_FFFF  # in place of a packet's number


class Class(Struct):
    due: u64  # when its rate next lets a packet leave, ns
    listed: u32  # whether the PIFO has it


class Reservations(Scheduler):
    """Class selectors of DSCP, the highest first; but each has a rate that the others leave to it.

    When as many packets wait as can, one that arrives is dropped, whatever its class.
    """

    reserved = Tunable(rate, "1mbit", "rate that each class has before all others")

    def setup(self) -> None:
        self.waiting = Fifos(self.packets, CLASSES)
        self.table = ArrayMap(Class, CLASSES)
        self.order = Pifo(CLASSES, window=64)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = u32(packet.dscp >> 3)
        known = self.table.lookup(number)
        if known is None:
            return False
        if self.waiting.peek(number) is None:
            known.due = max(known.due, now)  # nothing is saved up in idle times
        self.waiting.append(packet, number)
        self.list(known, number)
        return True

    def dequeue(self, now: u64) -> QueuedPacket | None:
        for _ in range(2 * CLASSES):  # each may have to be listed anew
            number = self.behind(now)
            if number < LISTED_ANEW:
                return self.packets.at(number)
            if number == NOBODY:
                break
        for n in range(CLASSES):
            packet = self.waiting.pop(CLASSES - 1 - u32(n))
            if packet is not None:
                return packet
        return None

    @global_subprogram
    def behind(self, now: u64) -> u32:
        """Serve the first class of the PIFO, unless it became due later, or empty, since it was listed."""
        first = self.order.peek()
        if first is None or first.rank >> 3 > now:
            return NOBODY
        number = u32(first.value)
        known = self.table.lookup(number)
        if known is None:
            return NOBODY
        self.order.pop()
        known.listed = 0
        packet = self.waiting.pop(number) if first.rank >> 3 == known.due else None
        if packet is not None:
            known.due += u64(packet.length) * 8_000_000_000 // self.reserved.value
        self.list(known, number)
        return packet.slot if packet is not None else LISTED_ANEW

    def list(self, known: Class, number: u32) -> None:
        """Let the PIFO have a class with packets, by when it is due; of equal ones the most urgent first."""
        if known.listed == 0 and self.waiting.peek(number) is not None:
            known.listed = 1
            self.order.push(known.due << 3 | u64(CLASSES - 1 - number), u64(number))
