"""Golden tests: the cases in tests/golden, Python source in, IR or the CompileError out.

Every program that a case's source defines is lowered, in order; it finds the names of `penstock.lang` there.
`pytest --update-golden` makes what comes out the new expectation.
"""

import importlib.util
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from penstock import lang
from penstock.compiler.frontend import lower
from penstock.compiler.ir_text import dump
from penstock.errors import CompileError

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = re.compile(
    r"""
    ^\[case\ (?P<name>.+?)\]\n (?P<source>.*?)
    ^\[out\] (?P<out>.*?)
    \s* (?=^\[case\ |\Z)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Case:
    """One `[case name]` of a file."""

    file: Path
    name: str
    source: str
    out: str

    def __str__(self) -> str:
        return f"[case {self.name}]\n{self.source}[out]{self.out}"


def cases() -> list[Case]:
    files = sorted(GOLDEN.glob("*.test"))
    return [Case(file, **case.groupdict()) for file in files for case in CASE.finditer(file.read_text())]


def compiled(source: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the IR of the programs in `source`, or what the front end says against them."""
    path = directory / "case.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("golden_case", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "golden_case", module)
    vars(module).update({name: vars(lang)[name] for name in lang.__all__})
    spec.loader.exec_module(module)
    programs = [value for value in vars(module).values() if isinstance(value, lang.Program)]
    assert programs
    try:
        return "\n".join(dump(lower(program)) for program in programs)
    except CompileError as error:
        return f"{error}\n".replace(f"{directory}/", "")


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.file.stem}-{case.name}")
def test_golden(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    out = "\n" + compiled(case.source, tmp_path, monkeypatch).rstrip()
    if pytestconfig.getoption("update_golden"):
        text = case.file.read_text()
        case.file.write_text(text.replace(str(case), str(replace(case, out=out))))
    else:
        assert out == case.out
