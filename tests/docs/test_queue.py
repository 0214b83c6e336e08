"""The guide to queues: its schedulers load as they are, do what is said of them, and none is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from penstock.queue.catalogue import find, names
from penstock.queue.egress import Egress
from penstock.queue.frames import Frames
from penstock.queue.generation import Generation
from penstock.queue.packets import Packets
from penstock.queue.scheduler import Scheduler
from tests.docs.test_language import ROOT, Block, blocks, rows
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Rig, Step

GUIDE = (ROOT / "docs" / "queue.md").read_text()
BLOCKS = {match[1]: block for block in blocks(GUIDE) if (match := re.search(r"class (\w+)\(", block.code))}

EF = 46
MS = 1_000_000

BEHAVIOUR: dict[str, tuple[Sequence[Step], list[int | None]]] = {
    "Voice": ([Arrive(0), Arrive(0, dscp=EF), Arrive(0, dscp=EF), *[Leave(1)] * 4], [1, 2, 0, None]),
    "Fair": ([*[Arrive(0, flow=1)] * 3, Arrive(0, flow=2), *[Leave(1)] * 5], [0, 3, 1, 2, None]),
    "Later": ([Arrive(0), Leave(9 * MS), Leave(10 * MS + 8192), Leave(11 * MS)], [None, 0, None]),
    "Fresh": ([Arrive(0), Arrive(0, ecn=1), Arrive(9 * MS), *[Leave(25 * MS)] * 3], [1, 2, None]),
}
"""What is done, and the serial numbers of those that leave."""


def scheduler_of(block: Block, directory: Path) -> type[Scheduler]:
    """Return a block's class, as if it were a user's file."""
    path = directory / "documented.py"
    path.write_text(block.code)
    return find(str(path))


def test_every_block_is_a_scheduler() -> None:
    assert len(list(blocks(GUIDE))) == len(BLOCKS)
    assert BLOCKS.keys() == BEHAVIOUR.keys()


@pytest.mark.parametrize("name", BEHAVIOUR)
def test_a_scheduler_loads(name: str, tmp_path: Path) -> None:
    packets = Packets(64, 64)
    scheduler = scheduler_of(BLOCKS[name], tmp_path)(packets)
    egress = Egress(1, packets, Frames(packets, 1536), scheduler)
    with Generation(egress, scheduler, {}, {}).loaded as loaded:
        assert loaded[packets.table]


@NEEDED
@pytest.mark.parametrize("name", BEHAVIOUR)
def test_a_scheduler_does_what_is_said(name: str, tmp_path: Path) -> None:
    steps, expected = BEHAVIOUR[name]
    with Rig(scheduler_of(BLOCKS[name], tmp_path), 8) as rig:
        results = rig.run(list(steps))
    left = [result.serial for step, result in zip(steps, results, strict=True) if isinstance(step, Leave)]
    assert left == expected


@NEEDED
def test_the_clock_names_the_time_and_the_mark_is_set(tmp_path: Path) -> None:
    with Rig(scheduler_of(BLOCKS["Later"], tmp_path), 8) as rig:
        assert [result.due for result in rig.run([Arrive(5), NextDue(6)])][1] == 10 * MS + 5
    with Rig(scheduler_of(BLOCKS["Fresh"], tmp_path), 2) as rig:
        arrive = [Arrive(0, ecn=1), Arrive(0, ecn=1), Arrive(0, ecn=1)]
        *_, first, second, none = rig.run([*arrive, Leave(1), Leave(20 * MS), Leave(20 * MS)])
    assert (first.serial, first.mark, first.dropped) == (1, 0, 1)
    assert (second.serial, second.mark, none.serial) == (2, 1, None)


def test_the_guide_has_every_scheduler() -> None:
    assert sorted(row[0].strip("`") for row in rows(GUIDE, "name")) == names()
