"""A buffer of so many packets before a link, exact however late a process wakes up."""

from __future__ import annotations

from typing import Final

FRAME: Final = 1514
"""Bytes of a full frame."""

PAYLOAD: Final = 1448 / FRAME
"""What of it is goodput, with TCP's timestamps in the header."""

_CREDIT: Final = 1_000_000
"""ns that a queue's link makes up for by default."""


def buffer(packets: int, rate: int) -> dict[str, object]:
    """Return options of a FIFO that loses what a buffer before a link would lose.

    A buffer loses what arrives while it is full. So does a FIFO whose link lets packets go ahead of time, if
    those ahead count as waiting. So the buffer is the link's credit first, up to what it is by default; only
    what is beyond that waits in slots until a process wakes up.

    Args:
        packets: Full frames that wait at most, from 1 on.
        rate: What the link carries, bit/s.
    """
    frame = FRAME * 8_000_000_000 // rate
    credit = min((packets - 1) * frame, _CREDIT)
    return {"slots": packets - credit // frame, "burst": f"{credit}ns"}
