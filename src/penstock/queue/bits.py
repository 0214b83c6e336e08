"""Find first set, which BPF has no instruction for."""

from __future__ import annotations

from penstock.lang import u32, u64


def lowest_bit(word: u64) -> u32:
    """Return the number of the lowest bit that is set; 64 if none is.

    The ones below it are counted as in Warren, Hacker's Delight (2nd ed.), section 5-1: no table, no branch.
    """
    return ones((word - 1) & ~word)


def ones(word: u64) -> u32:
    """Return how many bits are set."""
    pairs = word - (word >> 1 & 0x5555_5555_5555_5555)
    nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333)
    octets = (nibbles + (nibbles >> 4)) & 0x0F0F_0F0F_0F0F_0F0F
    return u32(octets * 0x0101_0101_0101_0101 >> 56)
