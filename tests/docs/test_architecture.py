"""The page on the architecture names the files that there are, and all of those on a packet's way."""

from __future__ import annotations

import re

from tests.docs.test_language import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
SOURCE = ROOT / "src" / "penstock"
NAMED = {name.rpartition("/")[2] for name in re.findall(r"`([\w/]+\.py)`", PAGE)}


def test_every_file_of_a_queue_is_named() -> None:
    files = {path.name for path in (SOURCE / "queue").glob("*.py")}
    assert files <= NAMED


def test_every_file_that_is_named_is_there() -> None:
    assert {path.name for path in SOURCE.rglob("*.py")} >= NAMED
