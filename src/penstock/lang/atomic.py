"""Atomic operations on integers of 32 or 64 bits in maps and on the stack.

The first argument is the place, not its value: `atomic.add(flow.packets, 1)`. All but `add` give the value
from before, and need Linux 5.12.
"""

from __future__ import annotations

from typing import NoReturn


def add(place: int, value: int) -> None:
    """Add without a result; the cheapest."""
    _in_program()


def fetch_add(place: int, value: int) -> int:
    """Add; the old value."""
    _in_program()


def fetch_and(place: int, value: int) -> int:
    """Bitwise and; the old value."""
    _in_program()


def fetch_or(place: int, value: int) -> int:
    """Bitwise or; the old value."""
    _in_program()


def fetch_xor(place: int, value: int) -> int:
    """Bitwise exclusive or; the old value."""
    _in_program()


def exchange(place: int, value: int) -> int:
    """Store; the old value."""
    _in_program()


def compare_exchange(place: int, expected: int, value: int) -> int:
    """Store `value` if the place holds `expected`; the old value either way."""
    _in_program()


def _in_program() -> NoReturn:
    raise TypeError("only programs can do this")
