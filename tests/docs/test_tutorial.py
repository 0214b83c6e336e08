"""The tutorial: its scheduler loads at every step, and does what is said of it when it is tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from penstock import CompileError
from penstock.cli.main import main
from penstock.experiments import find
from penstock.experiments.trial import load
from tests.docs.test_language import ROOT
from tests.experiments.browser import check_report

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
STEPS = re.findall(r"^```python\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
LINES = [line for line in TUTORIAL.splitlines() if "penstock lab" in line]


def written(step: int, directory: Path) -> str:
    path = directory / "sparse.py"
    path.write_text(STEPS[step])
    return str(path)


@pytest.mark.parametrize("step", range(3))
def test_every_step_loads(step: int, tmp_path: Path) -> None:
    assert len(STEPS) == 3
    load(written(step, tmp_path))


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = Path(written(1, tmp_path))
    path.write_text(path.read_text().replace("        if held is None:\n            return False\n", ""))
    with pytest.raises(CompileError) as caught:
        load(str(path))
    said = str(caught.value).replace(str(path), path.name)
    assert f"```\n{said}\n```" in TUTORIAL


def found(directory: Path, arguments: list[str]) -> list[dict[str, Any]]:
    """Run a command as the tutorial has it, with a shorter duration; return what it writes as JSON."""
    file = directory / "found.json"
    ended = CliRunner().invoke(main, [*arguments, "--duration", "500ms", "--json", str(file)])
    assert ended.exit_code == 0, ended.output
    results = json.loads(file.read_text())
    return results if isinstance(results, list) else [results]


def command(what: str) -> list[str]:
    (line,) = [line for line in LINES if line.startswith(f"$ sudo penstock lab {what}")]
    return line.split()[3:]


def test_an_experiment_takes_the_options() -> None:
    _, what, name, *options = command("run bufferbloat")
    assert (what, name) == ("run", "bufferbloat")
    pairs = zip(options[::2], options[1::2], strict=True)
    experiment = find(name)(**{flag.removeprefix("--"): value for flag, value in pairs})
    assert [Path(each).name for each in experiment.values["extra"]] == ["sparse.py"]


@pytest.mark.alone
@pytest.mark.slow
def test_the_scheduler_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(2, tmp_path)
    transition, bufferbloat, fairness = found(tmp_path, command("try"))
    rows = {row["case"]: row for each in (transition, bufferbloat, fairness) for row in each["results"]}
    assert rows["sparse_10"]["ping_p99_ms"] < 0.3 * rows["fifo_10"]["ping_p50_ms"]
    assert rows["sparse_10"]["ping_lost_percent"] == 0
    assert rows["xdp_sparse"]["goodput_mbps"] > 2 * rows["xdp_shallow"]["goodput_mbps"]
    assert rows["completion_sparse"]["short_p50_ms"] < 0.5 * rows["completion_fifo"]["short_p50_ms"]
    assert rows["equal_sparse"]["jain"] < rows["equal_stfq"]["jain"]
    check_report(tmp_path / "out" / "sparse.html", plots=13)
