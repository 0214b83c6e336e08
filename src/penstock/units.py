"""Rates, times and sizes as tc reads them: `10mbit`, `5ms`, `64kb`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_NUMBER: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)

_RATES: Final = {
    "": 1,
    **{f"{prefix}bit": 1000**n for n, prefix in enumerate(["", "k", "m", "g", "t"])},
    **{f"{prefix}ibit": 1024**n for n, prefix in enumerate(["k", "m", "g", "t"], 1)},
    **{f"{prefix}bps": 8 * 1000**n for n, prefix in enumerate(["", "k", "m", "g", "t"])},
    **{f"{prefix}ibps": 8 * 1024**n for n, prefix in enumerate(["k", "m", "g", "t"], 1)},
}
_TIMES: Final = {
    **dict.fromkeys(["s", "sec", "secs"], 10**9),
    **dict.fromkeys(["ms", "msec", "msecs"], 10**6),
    **dict.fromkeys(["us", "usec", "usecs"], 10**3),
    "ns": 1,
}
_SIZES: Final = {
    "": 1,
    "b": 1,
    "k": 1024,
    "kb": 1024,
    "m": 1024**2,
    "mb": 1024**2,
    "g": 1024**3,
    "gb": 1024**3,
}


LONGEST: Final = 86_400 * 10**9
"""ns: a day, so that no sum or product of times overflows where packets are scheduled."""

LARGEST: Final = (1 << 32) - 1
"""bytes, or a number of things."""

FASTEST: Final = 10**15
"""bit/s"""


def rate(text: str) -> int:
    """Return bits per second: `1gbit`, `100kbit`, `5mbps` (bytes), `1000`.

    ValueError if it is none, 0, or more than a petabit.
    """
    return _positive(round(_parse(text, _RATES, "a rate, such as 10mbit", FASTEST)), text, "rate")


def duration(text: str) -> int:
    """Return nanoseconds: `5ms`, `100us`, `1s`. ValueError if it is none, or more than a day."""
    return round(_parse(text, _TIMES, "a time, such as 5ms", LONGEST))


def size(text: str) -> int:
    """Return bytes: `1500`, `64kb` (65,536), `1mb`. ValueError if it is none, or 4 GB and more."""
    return round(_parse(text, _SIZES, "a size, such as 64kb", LARGEST))


def count(text: str) -> int:
    """Return a whole number from 1 to 4,294,967,295. ValueError if it is none."""
    value = _parse(text, {"": 1}, "a whole number", LARGEST)
    if value.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number")
    return _positive(int(value), text, "number")


def counts(text: str) -> tuple[int, ...]:
    """Return whole numbers of a list with commas: `1,10,100`. ValueError if one of them is none."""
    return tuple(count(each) for each in text.split(","))


def _parse(text: str, units: dict[str, int], what: str, most: int) -> Fraction:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2].lower() not in units:
        raise ValueError(f"{text!r} is not {what}")
    value = Fraction(found[1]) * units[found[2].lower()]
    if 0 < value < 1:
        raise ValueError(f"{text!r} is less than one")
    if value > most:
        raise ValueError(f"{text!r} is too much")
    return value


def _positive(value: int, text: str, what: str) -> int:
    if value <= 0:
        raise ValueError(f"a {what} of {text}: it must be more than 0")
    return value
