"""What packets count on the link."""

from __future__ import annotations

import penstock
from penstock.lang import Xdp, u32, u64, xdp
from penstock.queue.link import FRACTION, MOST, SHORTEST, SLOWEST, Link, Rate
from penstock.queue.session import FRAME


def _taken(rate: Rate, length: int) -> float:
    """The time that a packet takes, ns; it begins at 10^12."""
    link = Link()

    @xdp
    def send(packet: Xdp) -> int:
        link.send(u32(length), u64(10**12), u64(10**12))
        return 0

    with penstock.load(send) as loaded:
        rate.write(loaded[link.state].value)
        loaded[send].test_run(bytes(64))
        return int(loaded[link.state].value.ready) / (1 << FRACTION) - 10**12


def test_a_frame_is_never_less_than_nothing() -> None:
    """A negative overhead may be more than a frame that is cut has."""
    assert _taken(Rate(10**9, burst=0, overhead=-SHORTEST, least=10), 14) == 80
    assert _taken(Rate(10**9, burst=0, overhead=-SHORTEST), 1530) == 12_000


def test_the_slowest_rate_counts_the_longest_packets() -> None:
    assert _taken(Rate(SLOWEST, burst=0, overhead=MOST), FRAME) == (FRAME + MOST) * 8 * 10**9 / SLOWEST
    assert _taken(Rate(SLOWEST, burst=0, least=MOST), 60) == MOST * 8 * 10**9 / SLOWEST
