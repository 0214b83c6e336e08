"""Find first set, which BPF has no instruction for."""

from __future__ import annotations

from penstock.lang import u32, u64


def lowest_bit(word: u64) -> u32:
    """Return the number of the lowest bit that is set; 64 if none is.

    The ones below it are counted as in Warren, Hacker's Delight (2nd ed.), section 5-1: no table, no branch.
    """
    below = (word - 1) & ~word
    below -= below >> 1 & 0x5555_5555_5555_5555
    below = (below & 0x3333_3333_3333_3333) + (below >> 2 & 0x3333_3333_3333_3333)
    below = (below + (below >> 4)) & 0x0F0F_0F0F_0F0F_0F0F
    return u32(below * 0x0101_0101_0101_0101 >> 56)
