"""`penstock lab`, as a user runs it, with an experiment that takes no time."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli.main import main
from penstock.kernel.capabilities import Capability
from tests.cli import made_up
from tests.experiments.browser import check_report

MINE = """
from penstock.lang import u64
from penstock.queue import PacketPifo, QueuedPacket, Scheduler


class Mine(Scheduler):
    def setup(self) -> None:
        self.waiting = PacketPifo(self.packets)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.push(packet, now)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.waiting.pop()
"""


@pytest.fixture(autouse=True)
def _made_up() -> Iterator[None]:
    with made_up.made_up():
        yield


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def lab(*arguments: str | Path, status: int = 0) -> Result:
    done = CliRunner().invoke(main, ["lab", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done


class TestList:
    def test_for_people(self) -> None:
        lines = lab("list").stdout.splitlines()
        assert lines[0] == "made_up       Nothing is shown: it is made up."
        assert "    --how-many            how many cases (default 2)" in lines
        assert "    --extra               schedulers to compare with (default none)" in lines

    def test_as_json(self) -> None:
        found = json.loads(lab("list", "--json").stdout)["made_up"]
        assert found["summary"] == "Nothing is shown: it is made up."
        assert {"name": "how-many", "default": "2", "help": "how many cases"} in found["options"]


class TestRun:
    def test_a_table(self) -> None:
        done = lab("run", "made_up", "--how-many", "1")
        assert done.stderr == "penstock: made_up, making it up\n"
        assert done.stdout.splitlines() == [
            "Nothing is shown: it is made up.",
            "",
            "case       goodput",
            "            Mbit/s",
            "case 0  50 (49\u201351)",
        ]

    @pytest.mark.parametrize(("columns", "shown"), [(18, "50 (49\u201351)"), (17, "50")])
    def test_a_terminal_too_narrow_for_spreads_gets_medians(self, columns: int, shown: str) -> None:
        terminal, inside = os.openpty()
        termios.tcsetwinsize(inside, (24, columns))
        command = [sys.executable, made_up.__file__, "lab", "run", "made_up"]
        clean = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        done = subprocess.run(command, stdout=inside, stderr=subprocess.PIPE, env=clean, check=True)
        last = os.read(terminal, 4096).decode().splitlines()[-1]
        os.close(inside)
        os.close(terminal)
        assert last.split(maxsplit=2)[2] == shown
        assert (b"medians only: with spreads, it takes 18 columns" in done.stderr) == (shown == "50")

    def test_json_in_a_file(self, tmp_path: Path) -> None:
        done = lab("run", "made_up", "--seed", "7", "--json", tmp_path / "data.json")
        assert "case 1  50 (49\u201351)" in done.stdout
        found = json.loads((tmp_path / "data.json").read_text())
        assert found["experiment"] == "made_up"
        assert found["parameters"]["seed"] == "7"
        figures = {"goodput_mbps": 50.0, "goodput_mbps_spread": [49.0, 51.0]}
        assert found["results"] == [{"case": f"case {each}", **figures} for each in range(2)]
        assert found["series"] == {"goodput": {"all": {"x": ["case"], "y": [50.0]}}}

    def test_json_on_stdout_is_all_that_is_there(self) -> None:
        done = lab("run", "made_up", "--json", "-")
        assert json.loads(done.stdout)["experiment"] == "made_up"

    def test_a_report(self, tmp_path: Path) -> None:
        done = lab("run", "made_up", "--report", tmp_path / "new")
        path = tmp_path / "new" / "made_up.html"
        assert done.stderr.splitlines()[-1] == f"penstock: the report is {path}"
        assert json.loads(path.with_suffix(".json").read_text())["experiment"] == "made_up"
        check_report(path, plots=1)

    def test_help_has_its_own_options(self) -> None:
        text = lab("run", "made_up", "--help").stdout
        assert "For tests." in text
        assert "--how-many TEXT  How many cases.  [default: 2]" in text
        assert "made_up" in lab("run", "--help").stdout


class TestRefusals:
    """Each is a line, and comes before anything is measured."""

    def test_unknown_name(self) -> None:
        done = lab("run", "made_op", status=2)
        assert done.stderr == "penstock: no experiment made_op: did you mean made_up?\n"

    def test_bad_value(self) -> None:
        done = lab("run", "made_up", "--runs", "many", status=2)
        assert done.stderr == "penstock: runs: 'many' is not a whole number\n"

    def test_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / "data.json"
        done = lab("run", "made_up", "--json", path, status=1)
        assert done.output == f"penstock: cannot write {path}: No such file or directory\n"

    def test_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "reports"
        done = lab("run", "made_up", "--report", path, status=1)
        assert done.output == f"penstock: cannot write {path}: Not a directory\n"

    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        done = lab("run", "made_up", "--report", tmp_path, status=1)
        assert done.output == "penstock: reports are drawn by matplotlib: pip install 'penstock[lab]'\n"

    def test_without_rights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lacking = [f"CAP_{Capability.SYS_ADMIN.name}", f"CAP_{Capability.NET_ADMIN.name}"]
        monkeypatch.setattr("penstock.kernel.capabilities.missing", lambda _: lacking)
        line = "cannot run experiments without CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"
        done = lab("run", "made_up", "--report", tmp_path / "new", "--json", "-", status=1)
        assert done.stderr == f"penstock: {line}\n"
        assert json.loads(done.stdout) == {"error": line}
        assert not (tmp_path / "new").exists()


class TestTry:
    def test_one_report_of_all(self, mine: Path, tmp_path: Path) -> None:
        options = ["--runs", "1", "--report", tmp_path, "--json", tmp_path / "data.json"]
        done = lab("try", mine, *options)
        assert done.stdout.count(f"\n{mine}") == 3, "it stands beside the others in each table"
        check_report(tmp_path / "mine.html", plots=3)
        found = json.loads((tmp_path / "data.json").read_text())
        assert [each["parameters"]["runs"] for each in found] == ["1", "1", "1"]
        assert json.loads((tmp_path / "mine.json").read_text()) == found

    def test_a_mistake_is_shown_at_its_line(self, mine: Path) -> None:
        mine.write_text(MINE.replace("(packet, now)", "(packet, later)"))
        done = lab("try", mine, status=1)
        assert done.stdout == ""
        assert done.stderr.splitlines() == [
            f"penstock: {mine}:11:42: later is not defined",
            "    return self.waiting.push(packet, later)",
            "                                     ^",
        ]

    def test_no_such_file(self, tmp_path: Path) -> None:
        path = tmp_path / "none.py"
        assert lab("try", path, status=1).output == f"penstock: cannot read {path}: no such file\n"

    def test_bad_value(self, mine: Path) -> None:
        done = lab("try", mine, "--duration", "x", status=2)
        assert done.stderr == "penstock: duration: 'x' is not a time, such as 5ms\n"


@pytest.mark.parametrize("before", ["default", "ignore"])
def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path, before: str) -> None:
    """Also where a shell has had SIGINT ignored."""
    program = ["env", f"--{before}-signal=INT", sys.executable, made_up.__file__]
    command = [*program, "lab", "run", "made_up", "--pause", "600s"]
    written = ["--json", str(tmp_path / "data.json"), "--report", str(tmp_path)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *written], start_new_session=True, **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "penstock: made_up, making it up\n"
        assert process.stderr.readline() == "penstock: made_up, waiting\n"
        for _ in range(3):  # who waits for the end may press it again
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.01)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "penstock: ended by Ctrl-C, before the end\n")
    assert list(tmp_path.iterdir()) == []
    assert not list(Path("/run/netns").glob(f"pst-{process.pid}-*"))


def test_ctrl_c_is_pythons_own_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    lab("run", "made_up")
    assert signal.getsignal(signal.SIGINT) is before
