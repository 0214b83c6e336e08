"""Kinds of values that options take."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Final

import click

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Units of time in ns."""

_LONGEST: Final = 7 * UNITS["d"]


def duration(unit: str, least: int = 0) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """Return an option's callback that reads a time, `100ms`, or a number of `unit`: ns, up to a week."""

    def read(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)([a-zµ]*)", value)
        if found is None or (found[2] and found[2] not in UNITS):
            reason = f"{value!r} is no time: write a number and one of {', '.join(UNITS)}"
            raise click.BadParameter(reason, ctx, option)
        time = round(float(found[1]) * UNITS[found[2] or unit])
        if not least <= time <= _LONGEST:
            raise click.BadParameter(f"{value!r} is out of range: {least} ns to 7d", ctx, option)
        return time

    return read


def complete_interface(ctx: click.Context, argument: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of interfaces that begin so."""
    del ctx, argument
    return [name for _, name in socket.if_nameindex() if name.startswith(incomplete)]
