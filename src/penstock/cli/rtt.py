"""`penstock rtt`: RTTs of the traffic that passes, as it passes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from penstock.cli.command import Command, begin_stream
from penstock.cli.values import UNITS, complete_interface, duration

if TYPE_CHECKING:
    from penstock.rtt.live import Screen
    from penstock.rtt.options import RttOptions
    from penstock.rtt.printer import Printer

FORMAT_NAMES: Final = ("standard", "json", "jsonl", "ppviz")
SORTS: Final = ("rate", "packets", "rtt", "p95", "rise")

_NOT_LIVE: Final = ("format", "as_json", "write", "aggregate")
CONTRADICTIONS: Final = (
    ("format", "as_json"),
    ("count", "aggregate"),
    *(("live", name) for name in _NOT_LIVE),
)
DEPENDENCIES: Final = (
    ("sort", "live"),
    ("rtt_type", "rtt_rate"),
    ("aggregate_by", "aggregate"),
    ("prefix_v4", "aggregate"),
    ("prefix_v6", "aggregate"),
)

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
@click.option("-f", "--format", type=click.Choice(FORMAT_NAMES), help="How to print; standard if not given.")
@click.option("-j", "--json", "as_json", is_flag=True, help="The same as --format json.")
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
@click.option(
    "--flow-events/--no-flow-events", default=True, help="Whether to report flows that open or close."
)
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
    help="Whose network an RTT counts for: who replied, or who was replied to.",
)
@click.option(
    "--prefix-v4",
    type=click.IntRange(0, 32),
    default=24,
    show_default=True,
    metavar="BITS",
    help="How long the prefix of an IPv4 network is.",
)
@click.option(
    "--prefix-v6",
    type=click.IntRange(0, 128),
    default=48,
    show_default=True,
    metavar="BITS",
    help="The same for IPv6.",
)
@click.option(
    "-w",
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, opened anew on SIGHUP.",
)
@click.option("--duration", metavar="TIME", callback=duration("s", 1), help="Stop after TIME.")
@click.option("-c", "--count", type=click.IntRange(1), metavar="N", help="Stop after N events.")
@click.option("--live", is_flag=True, help="Show a table of flows on the terminal; q ends it.")
@click.option("--sort", type=click.Choice(SORTS), help="What --live puts first: rate if not given.")
@click.pass_context
def command(context: click.Context, interfaces: tuple[str, ...], **given: Any) -> None:
    """Measure RTTs of the TCP and ping traffic that passes the interfaces, without sending anything.

    Ctrl-C ends it, with totals.
    """
    _check(context)
    from penstock.rtt.monitor import Monitor
    from penstock.rtt.session import Session

    screen = _screen(given) if given["live"] else None
    sink = screen or _printer(given, several=len(set(interfaces)) > 1)
    where = {"ingress": given["ingress"], "xdp_mode": given["xdp_mode"]}
    with Monitor(interfaces, _options(given), **where) as monitor:
        begin_stream()
        limits = {"duration": given["duration"], "count": given["count"], "interval": given["aggregate"]}
        session = Session(monitor, sink, **limits)
        if screen is None:
            begun = f"penstock: measuring on {', '.join(monitor.interfaces)}; Ctrl-C ends it"
            totals = session.run(lambda: click.echo(begun, err=True))
        else:
            screen.join(session.loop, monitor)
            totals = session.run()
        click.echo(f"penstock: {totals}", err=True)
    if session.failure is not None:
        raise session.failure


def _check(context: click.Context) -> None:
    """Refuse options that contradict each other, or would do nothing."""
    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    for one, other in CONTRADICTIONS:
        if one in given and other in given:
            raise click.UsageError(f"{_flag(one)} and {_flag(other)} exclude each other", context)
    for one, other in DEPENDENCIES:
        if one in given and other not in given:
            raise click.UsageError(f"{_flag(one)} does nothing without {_flag(other)}", context)
    if given.get("format") == "ppviz" and "aggregate" in given:
        raise click.UsageError("the ppviz format is for single RTTs: it cannot --aggregate", context)
    if "xdp_mode" in given and given.get("ingress") != "xdp":
        raise click.UsageError("--xdp-mode does nothing without --ingress xdp", context)


def _flag(name: str) -> str:
    return "--json" if name == "as_json" else f"--{name.replace('_', '-')}"


def _options(given: dict[str, Any]) -> RttOptions:
    """Return what the kernel programs are to do."""
    from penstock.rtt.options import RttOptions

    both = given["tcp"] == given["icmp"]
    same = ("rate_limit", "rtt_rate", "rtt_type", "local", "flows", "aggregate_by", "prefix_v4", "prefix_v6")
    aggregate = given["aggregate"] is not None
    return RttOptions(
        tcp=given["tcp"] or both,
        icmp=given["icmp"] or both,
        syn=given["include_syn"],
        flow_events=given["flow_events"] and not aggregate,
        rtt_events=not aggregate,
        aggregate=aggregate,
        **{name: given[name] for name in same},
    )


def _printer(given: dict[str, Any], *, several: bool) -> Printer:
    from penstock.rtt.formats import FORMATS, Aggregation
    from penstock.rtt.printer import Printer
    from penstock.rtt.records import BUCKETS

    name = "json" if given["as_json"] else given["format"] or "standard"
    interval = given["aggregate"]
    about = interval and Aggregation(interval / UNITS["s"], given["prefix_v4"], given["prefix_v6"], BUCKETS)
    return Printer(FORMATS[name](several=several), given["write"], about)


def _screen(given: dict[str, Any]) -> Screen:
    from penstock.rtt.live import Screen

    return Screen(given["sort"] or SORTS[0])
