"""Find first set, in the kernel."""

from __future__ import annotations

import numpy as np
import pytest

import penstock
from penstock.kernel import features
from penstock.lang import ArrayMap, Struct, Tc, tc, u32, u64
from penstock.queue.bits import lowest_bit

pytestmark = pytest.mark.needs(features.FOR_EACH)


class Word(Struct):
    word: u64
    lowest: u64


class Nothing(Struct):
    unused: u64


words = ArrayMap(Word, 64 + 64 * 64 + 10_000, name="words")


def find(index: u32, word: Word, nothing: Nothing) -> int:
    word.lowest = u64(lowest_bit(word.word))
    return 0


@tc
def find_all(packet: Tc) -> int:
    nothing = Nothing()
    words.for_each(find, nothing)
    return 0


def test_lowest_bit():
    """Of all words with one or two bits, and of many others."""
    two = [1 << a | 1 << b for a in range(64) for b in range(64)]
    above = [(2**64 - 1) << a & (2**64 - 1) for a in range(64)]
    anything = np.random.default_rng(3).integers(0, 2**64, 10_000, np.uint64, endpoint=False)
    values = np.array([*above, *two, *anything.tolist()], np.uint64)
    with penstock.load(find_all) as loaded:
        memory = loaded[words].memory
        memory["word"] = values
        loaded[find_all].test_run(bytes(64))
        lowest = values & (~values + np.uint64(1))
        assert (np.uint64(1) << memory["lowest"] == lowest).all()


def test_no_bit_at_all():
    with penstock.load(find_all) as loaded:
        loaded[find_all].test_run(bytes(64))
        assert (loaded[words].memory["lowest"] == 64).all()
