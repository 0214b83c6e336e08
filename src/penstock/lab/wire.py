"""A link that takes time: penstock's own emulator between two hosts, in a namespace of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.lab.host import Interface
from penstock.lab.queues import queue_statistics
from penstock.lab.running import BEGUN, PENSTOCK, Running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.lab.host import Host

_FRAME: Final = 1514
"""Bytes of a full frame."""

_WAITING: Final = 1000
"""Packets that may wait for the rate by default."""

_FASTEST: Final = 400_000
"""Packets a second: more than two cores carry from one host to another."""

SECOND: Final = 1_000_000_000


class Wire(Running):
    """The emulator of a link, which delays and shapes what passes between the ports of a bridge, both ways.

    Args:
        bridge: The host whose two ports they are.
        rate: Bit/s in each direction; 0 for no limit.
        delay: ns that a packet takes in each direction.
        limit: Packets that each direction holds at most, those under way and those that wait; 0: enough for
            those under way, and 1000 to wait.
    """

    def __init__(self, bridge: Host, rate: int, delay: int, limit: int) -> None:
        self.ports: Sequence[Interface] = bridge.interfaces[1:]
        names = [port.name for port in self.ports]
        both = [text for name in names for text in ("--from", name, "--to", name)]
        # The rate is the queue's, not the emulator's: a clock that makes up for late wake-ups, and leaves
        # packets to arrivals for half a millisecond, takes less than half of the CPU time.
        shape = ["--rate", str(rate or "unlimited"), "--slots", str(limit or _slots(rate, delay))]
        netem = ["queue", "run", "netem", "--delay", f"{delay}ns"]
        super().__init__(bridge, [*PENSTOCK, *netem, *both, *shape], BEGUN)

    def set_delay(self, delay: int) -> None:
        """Have packets take another time from now on, ns each way, up to what the link was made with.

        Those under way arrive when they would have. LabError if it cannot be.
        """
        for port in self.ports:
            self.host.run([*PENSTOCK, "queue", "set", port.name, f"delay={delay}ns"])

    def dropped(self) -> int:
        """Return how many packets it has lost, for lack of room or otherwise."""
        counts = [queue_statistics(port) for port in self.ports]
        losses = ("refused", "overflowed", "crowded", "failed", "dropped")
        return sum(count[loss]["packets"] for count in counts for loss in losses)


def _slots(rate: int, delay: int) -> int:
    """How many packets may be under way at a time, and wait."""
    per_second = rate // (8 * _FRAME) if rate else _FASTEST
    return per_second * delay // SECOND + _WAITING
