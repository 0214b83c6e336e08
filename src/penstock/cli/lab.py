"""`penstock lab`: experiments that show on this machine what queues and passive measurement do."""

from __future__ import annotations

import inspect
import json
import shutil
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from penstock.cli.command import Command, Refused

if TYPE_CHECKING:
    from penstock.experiments import Experiment, Result

_STDOUT: Final = "-"
"""As a file's name."""

_INTERRUPTED: Final = 128 + signal.SIGINT
"""Exit status of a program that SIGINT ended, to a shell."""


class Experiments(click.Group):
    """A command for each experiment, with its options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all experiments."""
        from penstock.experiments import names

        del ctx
        return names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that runs an experiment."""
        from penstock.experiments import find
        from penstock.experiments.catalogue import ExperimentError

        try:
            return _run_command(cmd_name, find(cmd_name))
        except ExperimentError as error:
            raise Refused(str(error), ctx) from error


@click.group()
def command() -> None:
    """Run experiments with real TCP between network namespaces, and see what queues do. Needs root."""


@command.group(cls=Experiments, subcommand_metavar="NAME [OPTIONS]")
def run() -> None:
    """Run an experiment, and print what it found. Ctrl-C ends it.

    NAME is one of `penstock lab list`.
    """


@command.command("list", cls=Command)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_experiments(*, as_json: bool) -> None:
    """List the experiments, what they show, and their options."""
    from penstock.experiments import find, names

    found = {name: find(name) for name in names()}
    if as_json:
        click.echo(json.dumps({name: _described(each) for name, each in found.items()}, indent=2))
        return
    for name, experiment in found.items():
        click.echo(f"{name:14}{experiment.summary()}")
        for key, option in experiment.options.items():
            click.echo(f"    --{_flag(key):20}{option.help} (default {option.default or 'none'})")


def _described(experiment: type[Experiment]) -> dict[str, Any]:
    options = [
        {"name": _flag(name), "default": option.default, "help": option.help}
        for name, option in experiment.options.items()
    ]
    return {"summary": experiment.summary(), "options": options}


def _flag(name: str) -> str:
    return name.replace("_", "-")


_JSON: Final = click.option(
    "--json", "as_json", metavar="FILE", help="Write all data there; - is stdout, in place of the table."
)
_REPORT: Final = click.option(
    "--report", metavar="DIR", help="Write a report there: HTML with pictures, and the data beside it."
)


@contextmanager
def _until_ctrl_c() -> Generator[None]:
    """Have Ctrl-C end a command once: later ones, until the process has ended, would leave things behind."""

    def interrupt(number: int, frame: object) -> NoReturn:
        del frame
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("penstock: ended by Ctrl-C, before the end", err=True)
        click.get_current_context().exit(_INTERRUPTED)
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, before)


def _run_command(name: str, experiment: type[Experiment]) -> click.Command:
    """The command that runs an experiment."""
    own: list[click.Parameter] = [
        click.Option(
            [f"--{_flag(key)}", key],
            default=option.default,
            show_default=bool(option.default),
            help=f"{option.help[:1].upper()}{option.help[1:]}.",
        )
        for key, option in experiment.options.items()
    ]

    @click.command(name, cls=Command, params=own, help=inspect.getdoc(experiment))
    @_JSON
    @_REPORT
    @_until_ctrl_c()
    def run_experiment(as_json: str | None, report: str | None, **given: str) -> None:
        with _refusing():
            chosen = experiment(**given)
        _make_ready(name, as_json, report)
        _run([chosen], name, as_json, report)

    return run_experiment


@command.command("try", cls=Command)
@click.argument("scheduler", metavar="FILE")
@click.option("--duration", help="How long there is traffic in each case, such as 5s.")
@click.option("--runs", help="How often each case is run; medians count.")
@click.option("--seed", help="Of all that is random.")
@_JSON
@_REPORT
@_until_ctrl_c()
def try_(scheduler: str, as_json: str | None, report: str | None, **given: str | None) -> None:
    """Compare a scheduler of your own with those that come along.

    FILE, such as ./mine.py, is compiled first, then run through transition, bufferbloat and fairness, which
    make one report. What is not given is what each experiment has by default.
    """
    from penstock.experiments.contenders import case
    from penstock.experiments.trial import load, trials

    name = case(scheduler)
    with _refusing():
        chosen = trials(scheduler, {option: value for option, value in given.items() if value is not None})
    _make_ready(name, as_json, report)
    load(scheduler)
    _run(chosen, name, as_json, report)


@contextmanager
def _refusing() -> Generator[None]:
    """Options of an experiment that cannot be are wrong usage."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from error


def _make_ready(name: str, as_json: str | None, report: str | None) -> None:
    """Fail now if anything is in the way, and not after minutes of measuring."""
    from penstock.experiments import files
    from penstock.experiments.report import check
    from penstock.kernel.capabilities import Capability, missing
    from penstock.lab import LabError

    if lacking := missing((Capability.SYS_ADMIN, Capability.NET_ADMIN)):
        raise LabError(f"cannot run experiments without {' and '.join(lacking)}: run as root")
    if report is not None:
        check(Path(report), name)
    if as_json not in (None, _STDOUT):
        files.check(Path(as_json))


def _run(experiments: Sequence[Experiment], name: str, as_json: str | None, report: str | None) -> None:
    """Run experiments, one after the other; show what they found, and write what is asked for."""
    from penstock.experiments import files
    from penstock.experiments.report import as_text, write

    results = [_run_one(experiment) for experiment in experiments]
    if as_json == _STDOUT:
        click.echo(as_text(results), nl=False)
    else:
        _show(results)
        if as_json is not None:
            files.write(Path(as_json), as_text(results))
    if report is not None:
        _tell(f"the report is {write(Path(report), results, name)}")


def _run_one(experiment: Experiment) -> Result:
    """Run an experiment, and say what it is doing."""
    name = type(experiment).__name__.lower()
    return experiment.run(lambda line: _tell(f"{name}, {line}"))


def _show(results: Sequence[Result]) -> None:
    """Print tables; on a terminal without spreads, if it is too narrow for them."""
    from penstock.experiments.table import text

    tables = [text(result) for result in results]
    widest = max(len(line) for table in tables for line in table.splitlines())
    if sys.stdout.isatty() and widest > shutil.get_terminal_size().columns:
        tables = [text(result, spread=False) for result in results]
        _tell(f"medians only: with spreads, it takes {widest} columns")
    click.echo("\n\n".join(f"{each.summary}\n\n{table}" for each, table in zip(results, tables, strict=True)))


def _tell(line: str) -> None:
    click.echo(f"penstock: {line}", err=True)
