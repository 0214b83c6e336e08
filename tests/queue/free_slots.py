"""Which slots are free."""

from __future__ import annotations

from penstock.kernel import Loaded
from penstock.queue.packets import Packets


def free_slots(loaded: Loaded, packets: Packets) -> list[int]:
    """Return the numbers that `take` would give, those that were given before first."""
    free, table = loaded[packets.free].value, loaded[packets.table].memory
    numbers: list[int] = []
    following = free.first
    for _ in range(free.count):
        numbers.append(following - 1)
        following = int(table["following"][following - 1])
    return numbers + list(range(free.used, packets.capacity))
