"""What a run amounted to, and all that it missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MISSED: Final = {
    "lost": "events lost",
    "evicted": "flows evicted",
    "refused": "flows not recorded",
    "busy": "packets not timed",
    "truncated": "packets cut short",
    "prefixes": "packets of prefixes not recorded",
}
"""Counters of what was missed, in words."""


@dataclass(frozen=True)
class Totals:
    """Counts since the start. A flow is both its directions.

    Missed: `lost` events found the ring buffer full; `evicted` flows made room for others; `refused` ones
    found none; `busy` packets were due for timing while all slots of their flow were taken; `truncated` ones
    end within a header; `prefixes` found no room for an aggregate. `without` is TCP without timestamps,
    `unanswered` flows had packets in one direction only, as a flood of forged sources has.
    """

    seconds: float
    packets: int
    rtts: int
    events: int
    flows_seen: int
    flows_now: int
    flows_room: int
    lost: int
    evicted: int
    refused: int
    busy: int
    truncated: int
    without: int
    unanswered: int
    prefixes: int

    @property
    def missed(self) -> dict[str, int]:
        """What was missed, in words, where it is not 0."""
        return {words: getattr(self, name) for name, words in MISSED.items() if getattr(self, name)}

    @property
    def unfit(self) -> str:
        """What nobody can measure, in words: why there may be few RTTs."""
        counts = {"TCP packets without timestamps": self.without, "flows unanswered": self.unanswered}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)

    def __str__(self) -> str:
        missed = ", ".join(f"{count} {what}" for what, count in self.missed.items()) or "nothing missed"
        return (
            f"{self.rtts} RTTs of {self.packets} packets in {self.seconds:.1f} s, {self.events} events; "
            f"{self.flows_seen} flows, {self.flows_now} now in a table of {self.flows_room}; {missed}"
            f"{'; ' + self.unfit if self.unfit else ''}"
        )
