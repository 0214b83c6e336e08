"""Room for flows that schedulers tell apart by a hash, so that chance is no part of a result."""

from __future__ import annotations

from typing import Final

_NUMBERS: Final = 1 << 14
"""For flows to be hashed to: of 8 flows none share one, but once in 600 times. Of 1024, which is the
default, two of them share one in 37 times, and each gets half."""

_OPTIONS: Final = {
    "fq_codel": "queues",
    **dict.fromkeys(("drr", "hpfq", "las", "srpt", "stfq", "wfq"), "flows"),
}


def room(scheduler: str) -> dict[str, object]:
    """Return the option that gives a scheduler of penstock's so many; nothing for others."""
    return {_OPTIONS[scheduler]: _NUMBERS} if scheduler in _OPTIONS else {}
