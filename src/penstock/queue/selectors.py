"""Values for the eight class selectors of DSCP (RFC 2474): 0 for best effort to 7 for network control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penstock.lang import Global, u32, u64

NAMES: Final = tuple(f"cs{number}" for number in range(8))


class Selectors:
    """A tunable's value by class."""

    def __init__(self, values: Sequence[Global[u64]]) -> None:
        self.first = values[0]
        self.others = Selectors(values[1:]) if len(values) > 1 else None

    def at(self, number: u32) -> u64:
        """Return the value of a class; for programs."""
        if self.others is None or number == 0:
            return self.first.value
        return self.others.at(number - 1)
