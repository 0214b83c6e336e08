"""Editors complete fields, map values and arrays: pyright and mypy know the types of names in programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lang import completions

ROOT = Path(__file__).parents[2]
FILE = Path(completions.__file__)
EXPECTED = {
    number: line.split("# ")[1]
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines(), 1)
    if " reveal_type(" in line
}


def output(folder: Path, tool: str, *options: str) -> str:
    command = [str(Path(sys.executable).parent / tool), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pyright(folder: Path, *files: Path) -> list[tuple[int, str]]:
    """Return line and message of all that pyright, strict, says of copies of these files in `folder`."""
    for file in files:
        shutil.copy(file, folder)
    settings = {"typeCheckingMode": "strict", "include": [file.name for file in files]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    out = json.loads(output(folder, "pyright", "--outputjson", "--pythonpath", sys.executable))
    assert out["summary"]["filesAnalyzed"] == len(files)
    return [(item["range"]["start"]["line"] + 1, item["message"]) for item in out["generalDiagnostics"]]


def test_pyright(tmp_path: Path) -> None:
    said = pyright(tmp_path, FILE)
    assert {line: re.search(r'is "(.*)"$', message)[1] for line, message in said} == EXPECTED


def test_mypy(tmp_path: Path) -> None:
    out = output(tmp_path, "mypy", "--strict", "--python-executable", sys.executable, str(FILE))
    found = re.findall(r':(\d+): note: Revealed type is "(.*)"$', out, re.MULTILINE)
    assert {int(line): re.sub(r"\b[a-z_]+\.(\w+\.)*", "", kind) for line, kind in found} == EXPECTED


def test_examples_pass_pyright_strict(tmp_path: Path) -> None:
    assert pyright(tmp_path, *sorted((ROOT / "examples").glob("*.py"))) == []


@pytest.mark.parametrize("folder", ["net", "rtt"])
def test_programs_pass_mypy_strict(folder: str, tmp_path: Path) -> None:
    files = [
        str(file)
        for file in sorted((ROOT / "src/penstock" / folder).glob("*.py"))
        if "from penstock.lang import" in file.read_text(encoding="utf-8")
    ]
    assert files
    output(
        tmp_path, "mypy", "--strict", "--follow-imports=silent", "--python-executable", sys.executable, *files
    )
