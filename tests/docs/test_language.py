"""The guide to the language and the README: their programs run, and do and say what is written there."""

import io
import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from penstock import KernelError, PenstockError, lang
from penstock.kernel.btf import kernel_functions
from penstock.kernel.features import Feature
from penstock.kernel.load import _KINDS
from penstock.kernel.ringbuf import Ring
from penstock.lab import ping
from penstock.net.ip import Protocol
from tests.conftest import Middlebox

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "language.md").read_text()
README = (ROOT / "README.md").read_text()

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIES = re.compile(r"\(\d+ lines omitted\)|\d+: \([0-9a-f]{2}\) .*")
"""What the verifier quotes of a program's instructions: each LLVM makes its own."""


class Block(NamedTuple):
    """A block of Python that begins at `line` of the text, and what follows as what it says."""

    line: int
    code: str
    said: str

    @property
    def file(self) -> str:
        """The file that it is in for its errors; every other block has one to itself."""
        shown = re.match(r"(\w+\.py):\d", self.said)
        return shown[1] if shown else f"line_{self.line}.py"


def blocks(text: str) -> Iterator[Block]:
    found = list(_FENCED.finditer(text))
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block[1] == "python":
            said = following[2] if following and not following[1] else ""
            yield Block(text[: block.start()].count("\n") + 2, block[2], said)


def run(block: Block, module: ModuleType) -> str:
    """Run a block as a part of `module`; return what it printed, and the error that it raised."""
    lines = block.code.splitlines(keepends=True)
    linecache.cache[block.file] = len(block.code), None, lines, block.file
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            exec(compile(block.code, block.file, "exec", dont_inherit=True), vars(module))  # noqa: S102
        except PenstockError as error:
            print(error)  # noqa: T201
    return printed.getvalue()


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with this heading."""
    table = text[text.index(f"| {heading} |") :].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("documented")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def _rcu_read_lock() -> None:
    if not kernel_functions(["bpf_rcu_read_lock"]):
        raise KernelError("this kernel has no bpf_rcu_read_lock")


@pytest.mark.needs(Feature("bpf_rcu_read_lock", "the newest that the guide shows", (6, 2), _rcu_read_lock))
def test_the_guide_does_and_says_what_it_shows(module: ModuleType) -> None:
    found = list(blocks(GUIDE))
    assert len(found) > 15
    for block in found:
        said = run(block, module)
        assert _VARIES.sub("…", said) == _VARIES.sub("…", block.said), f"line {block.line} says:\n{said}"


@pytest.mark.parametrize("snippet", [row[0] for row in rows(GUIDE, "instead of")])
def test_what_the_guide_says_is_missing_is_refused(snippet: str, module: ModuleType) -> None:
    statements = "\n    ".join(part.strip("`") for part in snippet.split("<br>"))
    code = f"""
import penstock
from penstock.lang import Xdp, u32, xdp, zeros

@xdp
def program(packet: Xdp) -> int:
    n = packet.length
    sizes = zeros(u32, 4)
    {statements}
    return 2

penstock.load(program)
"""
    said = run(Block(0, code, ""), module)
    assert said.startswith(("line_0.py:9:", "line_0.py:10:")), said
    assert "not in the language" in said or "cannot be" in said


@pytest.mark.parametrize("row", rows(GUIDE, "map"), ids=lambda row: row[0])
def test_maps_have_what_the_guide_says(row: list[str]) -> None:
    declared, _, programs, python = row
    spec: Any = getattr(lang, declared.strip("`").partition("(")[0])
    loaded = Ring if spec is lang.RingBuf else _KINDS[spec]
    for name in re.findall(r"`\.?(\w+)", programs):
        assert hasattr(spec, name) or hasattr(lang, name), name
    for name in re.findall(r"`\.?([a-z]\w+)[(`]", python):
        assert hasattr(loaded, name), name


def test_the_readme_counts_pings(module: ModuleType, middlebox: Middlebox) -> None:
    """On an interface of the lab for eth0, and while five pings pass for ten seconds."""
    (block,) = blocks(README)
    code = block.code.replace('"eth0"', repr(middlebox.towards_a.name))
    code = code.replace("time.sleep(10)", "pings()")
    module.pings = lambda: ping(middlebox.a, middlebox.b, count=5)  # type: ignore[attr-defined]
    with middlebox.m.enter():
        printed = run(Block(block.line, code, ""), module)
    counts = [int(number) for number in re.findall(r"\d+", printed)]
    assert len(counts) == 256
    assert counts[Protocol.ICMP] == 5


def test_the_readme_s_error_without_the_test_for_none(module: ModuleType) -> None:
    (block,) = blocks(README)
    tested = re.compile(r"^( +)if counter is not None:\n +", re.MULTILINE)
    code, count = tested.subn(r"\1", block.code)
    assert count == 1
    assert run(block._replace(code=code), module) == block.said
