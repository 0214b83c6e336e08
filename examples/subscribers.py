"""Equal shares for subscribers: penstock queue run ./examples/subscribers.py --from wan --to lan.

Fair queueing by flow gives most to those who open most connections. Here all flows to one IPv4 address, or to
one IPv6 /56, which is what a household is given (RIPE-690), are one: each subscriber gets the same share of
the link, and a short queue of its own (FQ-CoDel, RFC 8290).
"""

from penstock.lang import be64, u32, u64
from penstock.queue import Ends, QueuedPacket
from penstock.schedulers.fq_codel import FqCodel

GOLDEN = 0x9E37_79B9_7F4A_7C15  # Fibonacci hashing (Knuth, vol. 3, 6.4)


class Subscribers(FqCodel):
    """Subscribers share the link equally, by the addresses that packets go to."""

    def queue_of(self, packet: QueuedPacket) -> u32:
        ends = Ends()
        if not self.packets.addresses(packet, ends):
            return 0
        address = ends.destination
        subscriber = u64(address.low) if address.high == be64(0) else u64(address.high) >> 8
        return u32(subscriber * GOLDEN >> 32) % self.queues
