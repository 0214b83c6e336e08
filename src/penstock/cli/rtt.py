"""`penstock rtt`: RTTs of the traffic that passes, as it passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from penstock.cli.command import Command, begin_stream
from penstock.cli.values import UNITS, complete_interface, duration

FORMATS: Final = ("standard", "json", "jsonl", "ppviz")
SORTS: Final = ("rate", "packets", "rtt", "p95", "rise")

EXAMPLES: Final = """\b
Examples:
  penstock rtt eth0                            RTTs at most every 100 ms and flow
  penstock rtt eth0 --live                     a table of flows, redrawn as it changes
  penstock rtt eth0 --rate-limit 0 -f jsonl    every RTT, for a program
  penstock rtt eth0 --aggregate 10             percentiles for each network, every 10 s
  penstock rtt eth0 wg0 --write rtt.jsonl -f jsonl --duration 1h
"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.argument("interfaces", metavar="IFACE...", nargs=-1, required=True, shell_complete=complete_interface)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="How to print; standard if not given.")
@click.option("-j", "--json", is_flag=True, help="The same as --format json.")
@click.option(
    "--rate-limit",
    default="100ms",
    show_default=True,
    metavar="TIME",
    callback=duration("ms"),
    help="At most one RTT per flow, direction and TIME; 0 for all. A bare number is ms.",
)
@click.option(
    "--rtt-rate",
    type=click.FloatRange(0, 10_000),
    default=0.0,
    metavar="FACTOR",
    help="Make that time FACTOR times the flow's RTT instead.",
)
@click.option(
    "--rtt-type",
    type=click.Choice(["min", "smoothed"]),
    default="min",
    show_default=True,
    help="Which RTT --rtt-rate goes by.",
)
@click.option("--tcp", is_flag=True, help="Only TCP (with --icmp: both, as without either).")
@click.option("--icmp", is_flag=True, help="Only ICMP and ICMPv6 echo.")
@click.option("--include-syn", is_flag=True, help="Time SYN packets, too.")
@click.option("--local/--no-local", default=True, help="Whether to time this host's own replies.")
@click.option("--flow-events/--no-flow-events", default=True, help="Whether to report flows that open or close.")
@click.option(
    "--flows",
    type=click.IntRange(16, 1 << 24),
    default=131_072,
    show_default=True,
    metavar="N",
    help="Room in the table of flows.",
)
@click.option(
    "--ingress",
    type=click.Choice(["tc", "xdp"]),
    default="tc",
    show_default=True,
    help="Where to see packets that arrive.",
)
@click.option(
    "--xdp-mode",
    type=click.Choice(["auto", "native", "generic"]),
    default="auto",
    show_default=True,
    help="XDP in the driver, or in the kernel's stack.",
)
@click.option(
    "--aggregate",
    metavar="TIME",
    callback=duration("s", UNITS["s"]),
    help="Print sums and percentiles for each network every TIME instead. A bare number is seconds.",
)
@click.option(
    "--aggregate-by",
    type=click.Choice(["source", "destination"]),
    default="source",
    show_default=True,
    help="Whose network an RTT counts for: who was timed, or who replied.",
)
@click.option("--prefix-v4", type=click.IntRange(0, 32), default=24, show_default=True, metavar="BITS")
@click.option("--prefix-v6", type=click.IntRange(0, 128), default=48, show_default=True, metavar="BITS")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, opened anew on SIGHUP.",
)
@click.option("--duration", metavar="TIME", callback=duration("s", 1), help="Stop after TIME.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after N events.")
@click.option("--live", is_flag=True, help="Show a table of flows on the terminal; q ends it.")
@click.option("--sort", type=click.Choice(SORTS), help="What --live puts first: rate if not given.")
def command(**options: Any) -> None:
    """Measure RTTs of the TCP and ping traffic that passes the interfaces, without sending anything.

    Ctrl-C ends it, with totals.
    """
    check(options)
