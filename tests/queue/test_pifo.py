"""PIFOs against a sorted list: any operations, any ranks, thousands of them in one run of a program."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock
from penstock.kernel import features
from penstock.kernel.attributes import ProgInfo
from penstock.kernel.handle import object_info
from penstock.lang import Tc, tc, u32
from penstock.queue.pifo import MAX_CAPACITY, Pifo
from penstock.queue.ranked import MAX_WINDOW
from tests.queue.pifo_model import LENGTH, PEEK, POP, PUSH, Kernel, Model

pytestmark = pytest.mark.needs(features.FOR_EACH)

GROUPS = 3
HIGHEST = 2**64 - 1
SHAPES = [
    (1, 1, 1),
    (2, 64, 1),
    (63, 64, 4),
    (64, 256, 1),
    (65, 4096, 1024),
    (1000, 64, 1),
    (1000, 256, 4),
    (1000, 4096, 1),
    (1000, 1000, 1024),
]
"""Capacities, windows and granularities."""

ranks = st.one_of(
    st.integers(0, 200),
    st.integers(0, HIGHEST),
    st.integers(HIGHEST - 200, HIGHEST),
    st.builds(lambda power, off: min(2**power + off, HIGHEST), st.integers(0, 64), st.integers(0, 70)),
)
operations = st.tuples(
    st.sampled_from([PUSH, PUSH, POP, PEEK, LENGTH]),
    st.integers(0, GROUPS),
    st.integers(0, 4),
    st.integers(0, HIGHEST),
)
"""The ranks are chosen among five, so that many are equal."""

NEAR: dict[str, Callable[[random.Random, int], int]] = {
    "equal": lambda _, now: now,
    "near": lambda chance, now: now + chance.randrange(100),
    "near or far": lambda chance, now: now + chance.choice([0, 1000, 5000, 10**7]),
    "in steps": lambda chance, now: now + 1024 * chance.randrange(300),
    "ahead": lambda chance, now: now + chance.getrandbits(chance.randrange(1, 64)),
    "past": lambda chance, now: now - chance.getrandbits(chance.randrange(1, 64)),
    "around": lambda chance, now: now + chance.randrange(-5000, 5000),
    "lowest": lambda chance, _: chance.randrange(3),
    "highest": lambda chance, _: HIGHEST - chance.randrange(3),
    "any": lambda chance, _: chance.getrandbits(64),
}
"""Ranks, seen from the one that was popped last."""

phases = st.tuples(
    st.sampled_from(sorted(NEAR)),
    st.sampled_from([0.1, 0.5, 0.55, 0.9]),
    st.integers(1, 1500),
    st.integers(1, GROUPS),
)
"""How ranks are chosen, how many of the operations are pushes, how many there are, and in how many groups."""


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    capacity, window, granularity = request.param
    kernel = Kernel(Pifo(capacity, window=window, granularity=granularity, groups=GROUPS))
    with kernel.loaded:
        yield kernel


class Models:
    """As many sorted lists as there are groups, and what was asked of them."""

    def __init__(self, kernel: Kernel) -> None:
        self.groups = [Model(kernel.pifo.capacity, 1 << kernel.pifo.shift) for _ in range(GROUPS)]
        self.asked: list[tuple[int, int, int, int]] = []
        self.expected: list[tuple[int, int, int]] = []

    def perform(self, what: int, group: int, rank: int, value: int) -> tuple[int, int, int]:
        done = self.groups[group].perform(what, rank, value) if group < GROUPS else (0, 0, 0)
        self.asked.append((what, group, rank, value))
        self.expected.append(done)
        return done

    def drain(self) -> None:
        for group, model in enumerate(self.groups):
            for _ in range(len(model.items) + 1):
                self.perform(POP, group, 0, 0)


def compare(kernel: Kernel, models: Models) -> None:
    for number, (done, expected) in enumerate(
        zip(kernel.perform(models.asked), models.expected, strict=True)
    ):
        assert done == expected, (number, models.asked[number])


@given(
    st.lists(operations, max_size=200),
    st.tuples(*5 * [ranks]),
    st.sampled_from([0, 2**32 - 5, 2**44 - 5, 2**52 - 5, 2**63, HIGHEST - 5]),
)
def test_any_operations(kernel, asked, some, pushes):
    kernel.empty(pushes=pushes)
    models = Models(kernel)
    for what, group, rank, value in asked:
        models.perform(what, group, some[rank], value)
    models.drain()
    compare(kernel, models)


@settings(max_examples=150)
@given(st.lists(phases, min_size=1, max_size=8), st.randoms(use_true_random=False), st.integers(0, HIGHEST))
def test_long_phases(kernel, phases, chance, now):
    """Full, empty, and the window all the way around, with ranks that move."""
    chance = random.Random(chance.getrandbits(64))
    kernel.empty(pushes=HIGHEST - 1000)
    models = Models(kernel)
    for near, pushes, count, groups in phases:
        for number in range(count):
            group = chance.randrange(groups)
            if chance.random() < pushes:
                rank = max(0, min(NEAR[near](chance, now), HIGHEST))
                models.perform(PUSH, group, rank, number)
            else:
                what = POP if chance.random() < 0.9 else PEEK
                found, rank, _ = models.perform(what, group, 0, 0)
                now = rank if found else now
    models.drain()
    compare(kernel, models)


@pytest.mark.parametrize("window", [1, 64, 256, 4096])
@pytest.mark.parametrize("granularity", [1, 4, 1024])
def test_the_window_goes_around(window, granularity):
    """Ranks grow for ever, a window at a time, and cross where any of its words begins."""
    kernel = Kernel(Pifo(64, window=window, granularity=granularity))
    with kernel.loaded:
        models = Models(kernel)
        chance = random.Random(window)
        now = 0
        while now < 9 * max(window, 64) * granularity:
            for _ in range(chance.randrange(1, 40)):
                models.perform(
                    PUSH, 0, now + chance.randrange(2 * window * granularity), chance.getrandbits(64)
                )
            for _ in range(chance.randrange(1, 50)):
                found, rank, _ = models.perform(POP, 0, 0, 0)
                now = max(now, rank) if found else now
        models.drain()
        compare(kernel, models)


def test_the_largest():
    """Room for a million, and fifty thousand in the heap."""
    kernel = Kernel(Pifo(MAX_CAPACITY, window=MAX_WINDOW))
    with kernel.loaded:
        models = Models(kernel)
        chance = random.Random(7)
        for _ in range(50_000):
            models.perform(PUSH, 0, chance.getrandbits(64), 0)
        models.drain()
        compare(kernel, models)


def test_the_verifier_has_room():
    """Sixteen rounds of two pops and two pushes, of the largest PIFOs that there can be."""
    one, other = (Pifo(MAX_CAPACITY, window=MAX_WINDOW, name=name) for name in ("one", "other"))

    @tc
    def program(packet: Tc) -> int:
        moved = u32(0)
        for _ in range(16):
            item = one.pop()
            if item is not None and other.push(item.rank, item.value):
                moved += 1
            item = other.pop()
            if item is not None and one.push(item.rank, item.value):
                moved += 1
        return moved

    with penstock.load(program) as loaded:
        assert loaded[program].test_run(bytes(64)).retval == 0
        assert object_info(loaded[program].fileno(), ProgInfo).verified_insns < 250_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity": 0}, "a PIFO of 0"),
        ({"capacity": MAX_CAPACITY + 1}, "a PIFO of 1048577"),
        ({"capacity": 1, "window": 0}, "a window of 0"),
        ({"capacity": 1, "window": MAX_WINDOW + 1}, "a window of 4097"),
        ({"capacity": 1, "granularity": 0}, "a granularity of 0"),
        ({"capacity": 1, "granularity": 3}, "a granularity of 3"),
    ],
)
def test_what_it_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Pifo(**arguments)
