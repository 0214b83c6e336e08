from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import penstock
from penstock.cli.command import Command
from penstock.cli.main import COMMANDS, main
from penstock.cli.values import duration
from penstock.errors import PenstockError

SLOW = {"numpy", "llvmlite", "pyroute2", "rich"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("penstock"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_quick(arguments: list[str]) -> None:
    code = f"""
import sys
from penstock.cli.main import main
main({arguments!r}, standalone_mode=False)
sys.exit(", ".join({SLOW!r} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "these are slow to import"
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run(*arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.15


def test_version() -> None:
    assert run("--version").stdout == f"penstock {penstock.__version__}\n"


def test_unknown_command() -> None:
    done = run("rrt")
    assert done.returncode == 2
    assert "No such command 'rrt'" in done.stderr


def test_interfaces_are_completed() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("penstock")],
        env={"_PENSTOCK_COMPLETE": "bash_complete", "COMP_WORDS": "penstock rtt l", "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,lo" in done.stdout.split()


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True)
def failing(*, as_json: bool) -> None:
    raise PenstockError(f'cannot "attach" to eth0 {as_json}')


class TestErrors:
    def test_one_line(self) -> None:
        result = CliRunner().invoke(failing)
        assert result.exit_code == 1
        assert (result.stdout, result.stderr) == ("", 'penstock: cannot "attach" to eth0 False\n')

    def test_json(self) -> None:
        result = CliRunner().invoke(failing, ["--json"])
        assert result.exit_code == 1
        assert result.stdout == '{"error": "cannot \\"attach\\" to eth0 True"}\n'
        assert result.stderr == 'penstock: cannot "attach" to eth0 True\n'

    def test_debug_shows_where(self) -> None:
        with pytest.raises(PenstockError):
            CliRunner().invoke(failing, ["--debug"], catch_exceptions=False)


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "ns"),
        [
            ("0", 0),
            ("100", 100_000_000),
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            ("250us", 250_000),
            ("2h", 7_200_000_000_000),
            (".5", 500_000),
            ("7d", 604_800_000_000_000),
        ],
    )
    def test_read(self, text: str, ns: int) -> None:
        assert self.read(text) == ns

    @pytest.mark.parametrize("text", ["", "ms", "1 ms", "-1", "1x", "1e3", "nan", "8d", "1ms2"])
    def test_refused(self, text: str) -> None:
        with pytest.raises(click.BadParameter):
            self.read(text)

    def test_too_short(self) -> None:
        with pytest.raises(click.BadParameter, match="out of range"):
            self.read("0", least=1)

    @staticmethod
    def read(text: str, least: int = 0) -> int | None:
        context = click.Context(main)
        return duration("ms", least)(context, click.Option(["--time"]), text)
