"""`penstock bench`: what it costs on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.command import Command

if TYPE_CHECKING:
    from penstock.bench.rtt import Cost


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
@click.option("--ingress", type=click.Choice(["tc", "xdp"]), default="tc", show_default=True)
def rtt(**given: Any) -> None:
    """Measure the cost of `penstock rtt` on a box that forwards TCP between network namespaces.

    Time per packet is the kernel's own account of each program's run time. Needs root.
    """
    from penstock.bench.reader import intakes
    from penstock.bench.rtt import costs

    measured: list[Cost] = []
    if not given["as_json"]:
        click.echo(f"{'flows':>6}{'limit':>9}  {'program':12}{'ns/packet':>10}{'packets/s':>12}{'RTTs/s':>10}"
                   f"{'lost':>8}{'reader':>8}")  # fmt: skip
    for cost in costs(given["flows"], given["rate_limits"], given["seconds"], given["ingress"]):
        measured.append(cost)
        if not given["as_json"]:
            click.echo(
                f"{cost.flows:6}{cost.rate_limit_ms:6} ms  {cost.program:12}{cost.ns_per_packet:10.0f}"
                f"{cost.packets_per_second:12,.0f}{cost.rtts_per_second:10,.0f}{cost.events_lost:8}"
                f"{cost.reader_cpu:8.0%}"
            )
    taken = intakes()
    if given["as_json"]:
        found = {"results": [asdict(cost) for cost in measured], "reader": [asdict(each) for each in taken]}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"\n{'offered/s':>12}{'read/s':>12}{'lost':>10}{'reader':>8}")
    for each in taken:
        click.echo(
            f"{each.offered_per_second:12,.0f}{each.read_per_second:12,.0f}{each.lost:10}{each.cpu:8.0%}"
        )
