"""`penstock queue`: packets that XDP forwards wait in a queue, and a scheduler says which leaves next."""

from __future__ import annotations

import inspect
import json
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from penstock import units
from penstock.cli.command import Command, Refused, begin_stream
from penstock.cli.values import complete_interface

if TYPE_CHECKING:
    from penstock.queue.scheduler import Scheduler
    from penstock.queue.session import Queue

_LOOK: Final = 0.5
"""Seconds between looks at whether the interfaces are still there."""

_RATE: Final = {"rate": "bits_per_second", "burst": "burst", "overhead": "overhead", "mpu": "least"}
"""Fields of `Rate`, by option."""

_TURN: Final = 0.0002
"""Seconds that a thread may keep the interpreter: drains need it while a scheduler is compiled."""

_DRAINS: Final = click.Choice(["sleep", "poll"])

_UNLIMITED: Final = 0
"""Bits per second, as an option."""

_OWN: Final = "own_"
"""What the names of a scheduler's options begin with among the parameters of its command."""


class Parsed(click.ParamType[int]):
    """A value with a unit, as tc reads it."""

    def __init__(self, name: str, parse: Callable[[str], int]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return its number."""
        if isinstance(value, int):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            name = param.opts[0] if param is not None else self.name
            raise Refused(f"{name}: {error}", ctx) from error


def _link_rate(text: str) -> int:
    return _UNLIMITED if text in ("unlimited", "none") else units.rate(text)


class Schedulers(click.Group):
    """A command for each scheduler, with its options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of those that come with penstock."""
        from penstock.queue.catalogue import names

        del ctx
        return names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that runs a scheduler."""
        from penstock.queue.catalogue import SchedulerError, find

        try:
            return _run_command(cmd_name, find(cmd_name))
        except SchedulerError as error:
            raise Refused(str(error), ctx) from error


@click.group()
def command() -> None:
    """Queue, schedule and shape the packets that this host forwards, in XDP."""


@command.group(cls=Schedulers, subcommand_metavar="SCHEDULER --from IFACE... --to IFACE... [OPTIONS]")
def run() -> None:
    """Forward packets by XDP and have them wait where the link is slower. Ctrl-C ends it, with totals.

    SCHEDULER is one of `penstock queue list`, or a file of your own, ./mine.py.
    """


@command.command("list", cls=Command)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_schedulers(*, as_json: bool) -> None:
    """List the schedulers that come with penstock, and their options."""
    from penstock.queue.catalogue import find, names

    found = {name: _described(find(name)) for name in names()}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, scheduler in found.items():
        click.echo(f"{name:18}{scheduler['summary']}")
        for option in scheduler["options"]:
            running = "; may change while running" if option["tunable"] else ""
            default = f"default {option['default']}{running}"
            click.echo(f"    {'--' + option['name']:18}{option['help']} ({default})")


_TARGET: Final = click.argument("interface", metavar="IFACE", shell_complete=complete_interface)
_SETTINGS: Final = click.argument("settings", metavar="[OPTION=VALUE]...", nargs=-1)


@command.command(cls=Command)
@_TARGET
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--live", is_flag=True, help="Print the changes every second, until Ctrl-C.")
def stats(interface: str, *, as_json: bool, live: bool) -> None:
    """Show what the queue before IFACE counted, by which packets leave."""
    from penstock.queue.report import changes, table
    from penstock.signals import Signals

    found = _ask(interface, {"do": "statistics"})
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(table(found))
    start = time.monotonic()
    with Signals(signal.SIGINT, signal.SIGTERM) as signals:
        while live and signals not in select.select([signals], [], [], 1)[0]:
            before, found = found, _ask(interface, {"do": "statistics"})
            last, start = start, time.monotonic()
            click.echo(changes(before, found, start - last))


@command.command("set", cls=Command)
@_TARGET
@click.option("--rate", type=Parsed("rate", _link_rate), help="What the link carries, or unlimited.")
@click.option("--burst", type=Parsed("time", units.duration), help="How much link time is made up for.")
@click.option("--overhead", type=int, help="Bytes of each packet on the link besides its frame's.")
@click.option("--mpu", type=Parsed("size", units.size), help="Bytes that it has there at least.")
@click.option(
    "--patience", type=Parsed("time", units.duration), help="How long overdue packets are left to arrivals."
)
@click.option("--drain", type=_DRAINS, help="What sends when nothing arrives.")
@_SETTINGS
def set_(
    interface: str,
    settings: tuple[str, ...],
    drain: str | None,
    patience: int | None,
    **given: int | None,
) -> None:
    """Change the rate, or options of the scheduler, of the queue before IFACE, while packets go on."""
    rate: dict[str, int | None] = {_RATE[name]: value for name, value in given.items() if value is not None}
    if not (rate or settings or drain or patience is not None):
        raise click.UsageError("nothing to change: give --rate, or an option of the scheduler, target=5ms")
    if given["rate"] == _UNLIMITED:
        rate["bits_per_second"] = None
    changes = {"options": _pairs(settings), "rate": rate, "patience": patience, "drain": drain}
    _ask(interface, {"do": "set", **changes})


@command.command(cls=Command)
@_TARGET
@click.argument("scheduler")
@_SETTINGS
def swap(interface: str, scheduler: str, settings: tuple[str, ...]) -> None:
    """Have another SCHEDULER take over the queue before IFACE, while packets go on.

    What waits leaves first, by the rules of the one before.
    """
    from pathlib import Path

    own = str(Path(scheduler).absolute()) if "/" in scheduler or ".py" in scheduler else scheduler
    _ask(interface, {"do": "swap", "scheduler": own, "options": _pairs(settings)})


def _pairs(settings: tuple[str, ...]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in settings]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise click.UsageError(f"{wrong[0]} is no setting: write OPTION=VALUE, such as target=5ms")
    return {name.lstrip("-").replace("-", "_"): value for name, _, value in pairs}


def _ask(interface: str, request: dict[str, Any]) -> dict[str, Any]:
    from penstock.kernel.interface import find_interface
    from penstock.queue.control import ask

    found = find_interface(interface)
    return ask(found.index, found.name, request)


def _described(scheduler: type[Scheduler]) -> dict[str, Any]:
    options = [
        {"name": _flag(name), "default": option.default, "help": option.help, "tunable": option.tunable}
        for name, option in scheduler.options.items()
    ]
    return {"summary": _summary(scheduler), "options": options}


def _summary(scheduler: type[Scheduler]) -> str:
    return (inspect.getdoc(scheduler) or "").partition("\n")[0]


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _run_command(name: str, scheduler: type[Scheduler]) -> click.Command:
    """The command that runs a scheduler: what all have, and its own options."""
    from penstock.queue.catalogue import SchedulerError

    rate, span, size = Parsed("rate", _link_rate), Parsed("time", units.duration), Parsed("size", units.size)
    interface: dict[str, Any] = {"metavar": "IFACE", "required": True, "shell_complete": complete_interface}
    common = [
        _option("from", "Where packets arrive; may be repeated.", name="sources", multiple=True, **interface),
        _option("to", "Where they leave; may be repeated.", name="targets", multiple=True, **interface),
        _option("rate", "What the link carries, such as 100mbit.", type=rate, default="unlimited"),
        _option("burst", "So much time on the link may be made up for.", type=span, default="1ms"),
        _option("overhead", "Bytes of each packet on the link besides its frame's.", type=int, default=0),
        _option("mpu", "Bytes that it has there at least.", type=size, default="0"),
        _option("slots", "How many packets may wait.", type=click.IntRange(1, 1 << 20), default=1000),
        _option(
            "patience", "How long overdue packets are left to those that arrive.", type=span, default="500us"
        ),
        _option("drain", "What sends when nothing arrives: see the guide.", type=_DRAINS, default="sleep"),
        _option(
            "poll-cpu", "The core for --drain poll, one for each --to.", type=click.IntRange(0), multiple=True
        ),
    ]
    own = [
        _option(_flag(key), f"{each.help[:1].upper()}{each.help[1:]}.", name=_OWN + key, default=each.default)
        for key, each in scheduler.options.items()
    ]
    if twice := {opt for option in common for opt in option.opts} & {
        opt for each in own for opt in each.opts
    }:
        raise SchedulerError(f"{name} has an option {twice.pop()}, which all queues have: name it otherwise")

    def callback(**given: Any) -> None:
        _run(scheduler, given)

    return Command(name, params=[*common, *own], callback=callback, help=inspect.getdoc(scheduler))


def _option(flag: str, text: str, *, name: str | None = None, **attributes: Any) -> click.Option:
    declared = [f"--{flag}"] if name is None else [f"--{flag}", name]
    return click.Option(declared, help=text, show_default="default" in attributes, **attributes)


def _run(scheduler: type[Scheduler], given: dict[str, Any]) -> None:
    from penstock.queue.forwarder import Forwarder
    from penstock.queue.report import totals
    from penstock.signals import Signals

    queues = _queues(scheduler, given)
    sys.setswitchinterval(_TURN)
    with Signals(signal.SIGINT, signal.SIGTERM) as signals, Forwarder(*queues) as forwarder:
        begin_stream()
        lines = "\n".join(f"penstock: {line}" for line in forwarder.describe())
        click.echo(f"{lines}; Ctrl-C ends it", err=True)
        try:
            while signals not in select.select([signals], [], [], _LOOK)[0]:
                forwarder.check()
        finally:
            forwarder.finish()
            for queue in queues:
                click.echo(f"penstock: {queue.target}: {totals(queue.statistics())}", err=True)


def _queues(scheduler: type[Scheduler], given: dict[str, Any]) -> list[Queue]:
    """A queue for each target."""
    from penstock.errors import KernelError
    from penstock.queue.link import Rate
    from penstock.queue.session import Queue

    options = {name: given[_OWN + name] for name in scheduler.options}
    try:
        rate = Rate(given["rate"] or None, given["burst"], given["overhead"], given["mpu"])
    except ValueError as error:
        raise KernelError(f"cannot shape a link so: {error}") from error
    same = {name: given[name] for name in ("sources", "slots", "patience", "drain")}
    targets = given["targets"]
    cores = given["poll_cpu"] or [None] * len(targets)
    if len(cores) != len(targets):
        raise click.UsageError(f"{len(cores)} --poll-cpu for {len(targets)} --to: each needs its own")
    return [
        Queue(target=target, scheduler=scheduler, options=options, rate=rate, poll_cpu=core, **same)
        for target, core in zip(targets, cores, strict=True)
    ]
