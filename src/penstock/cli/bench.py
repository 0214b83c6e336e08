"""`penstock bench`: what it costs on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from penstock.cli.command import Command

if TYPE_CHECKING:
    from penstock.bench.queue import Speed
    from penstock.bench.reader import Intake
    from penstock.bench.rtt import Cost

COST_TITLES: Final = (
    f"{'flows':>6}{'limit':>9}  {'program':12}{'ns/packet':>10}{'empty':>7}{'packets/s':>11}{'RTTs/s':>9}"
    f"{'lost':>6}{'reader':>8}"
)
SPEED_TITLES: Final = f"{'case':18}{'bytes':>6}{'Mpps':>9}{'/redirect':>10}{'/kernel':>10}"
INTAKE_TITLES: Final = f"{'reader':>8}{'offered/s':>12}{'read/s':>12}{'lost':>10}{'CPU':>8}"


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "numbers"

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers of `1,10,100`."""
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType]  # a default, of this type
        numbers = [int(part) if part.isdecimal() else -1 for part in str(value).split(",")]
        if min(numbers) < self.least:
            self.fail(f"{value!r} is no list of numbers from {self.least} on, such as 1,10,100", param, ctx)
        return tuple(numbers)


@click.group()
def command() -> None:
    """Measure what penstock costs on this machine."""


@command.command(cls=Command)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--flows", type=Numbers(1), default="1,10,100,1000", show_default=True, help="TCP flows.")
@click.option(
    "--rate-limits", type=Numbers(0), default="0,10,100,1000", show_default=True, help="Rate limits in ms."
)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 60), default=5.0, show_default=True, help="For each case."
)
@click.option(
    "--ingress",
    type=click.Choice(["tc", "xdp"]),
    default="tc",
    show_default=True,
    help="Where to see packets that arrive.",
)
@click.option(
    "--traffic",
    type=click.Choice(["bulk", "super", "small"]),
    default="bulk",
    show_default=True,
    help="64 kB there and back, in packets of 1500 bytes or super-packets; or 100 bytes and 1000.",
)
def rtt(*, as_json: bool, **given: Any) -> None:
    """Measure the cost of `penstock rtt` on a box that forwards TCP between network namespaces.

    Time per packet is the kernel's own account of each program's run time, and so is that of an empty program
    beside it: so much of it is the account itself. Needs root.
    """
    from penstock.bench.reader import intakes
    from penstock.bench.rtt import costs

    measured = costs(**given)
    if as_json:
        found = {
            "results": [asdict(cost) for cost in measured],
            "reader": [asdict(intake) for intake in intakes()],
        }
        click.echo(json.dumps(found, indent=2))
        return
    for line in chain([COST_TITLES], map(_cost, measured), ["", INTAKE_TITLES], map(_intake, intakes())):
        click.echo(line)


@command.command(cls=Command)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--cases", help="Some of them, with commas between; all, and all schedulers, if not given.")
@click.option("--sizes", type=Numbers(60), default="64,1500", show_default=True, help="Bytes of a frame.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Measure so many times.")
def queue(*, as_json: bool, cases: str | None, sizes: tuple[int, ...], rounds: int) -> None:
    """Measure how many packets per second one core forwards, with a queue and without. Needs root.

    What a PIFO takes to push and to pop is the kernel's own account of run time.
    """
    from penstock.bench.pifo import push_pop_ns
    from penstock.bench.queue import BASICS, RANKS, speeds
    from penstock.queue.catalogue import names

    chosen = cases.split(",") if cases else [*BASICS, *names()]
    measured = speeds(chosen, sizes, rounds)
    turns = ((case, push_pop_ns(ranks)) for case, ranks in RANKS.items() if case in chosen)
    if as_json:
        found = {"results": [asdict(speed) for speed in measured], "push_pop_ns": dict(turns)}
        click.echo(json.dumps(found, indent=2))
        return
    for line in chain([SPEED_TITLES], map(_speed, measured)):
        click.echo(line)
    for case, ns in turns:
        click.echo(f"{case:18}{ns:6.0f} ns to push a packet and to pop one")


def _speed(speed: Speed) -> str:
    ratios = (f"{ratio:10.2f}" if ratio else f"{'':10}" for ratio in (speed.of_redirect, speed.of_kernel))
    return f"{speed.case:18}{speed.size:6}{speed.mpps:9.3f}" + "".join(ratios)


def _cost(cost: Cost) -> str:
    return (
        f"{cost.flows:6}{cost.rate_limit_ms:6} ms  {cost.program:12}{cost.ns_per_packet:10.0f}"
        f"{cost.empty_ns_per_packet:7.0f}{cost.packets_per_second:11,.0f}{cost.rtts_per_second:9,.0f}"
        f"{cost.events_lost:6}{cost.reader_cpu:8.1%}"
    )


def _intake(intake: Intake) -> str:
    return (
        f"{intake.output:>8}{intake.offered_per_second:12,.0f}{intake.read_per_second:12,.0f}"
        f"{intake.lost:10}{intake.cpu:8.1%}"
    )
