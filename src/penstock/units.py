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


def rate(text: str) -> int:
    """Return bits per second: `1gbit`, `100kbit`, `5mbps` (bytes), `1000`. ValueError if it is none, or 0."""
    return _positive(_parse(text, _RATES, "a rate, such as 10mbit"), text, "rate")


def duration(text: str) -> int:
    """Return nanoseconds: `5ms`, `100us`, `1s`. ValueError if it is none."""
    return _parse(text, _TIMES, "a time, such as 5ms")


def size(text: str) -> int:
    """Return bytes: `1500`, `64kb` (65,536), `1mb`. ValueError if it is none."""
    return _parse(text, _SIZES, "a size, such as 64kb")


def count(text: str) -> int:
    """Return a whole number from 1 on. ValueError if it is none."""
    return _positive(_parse(text, {"": 1}, "a whole number"), text, "number")


def _parse(text: str, units: dict[str, int], what: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2].lower() not in units:
        raise ValueError(f"{text!r} is not {what}")
    value = Fraction(found[1]) * units[found[2].lower()]
    if value.denominator != 1 and value < 1:
        raise ValueError(f"{text!r} is less than one")
    return round(value)


def _positive(value: int, text: str, what: str) -> int:
    if value <= 0:
        raise ValueError(f"a {what} of {text}: it must be more than 0")
    return value
