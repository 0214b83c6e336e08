"""`penstock doctor`: what this kernel can do, and what is missing for what."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from penstock.cli.command import Command
from penstock.errors import KernelError

if TYPE_CHECKING:
    from penstock.kernel.capabilities import Capability
    from penstock.kernel.features import Feature

    Alternatives = tuple[Feature, ...]
    Support = Mapping[Feature, bool | None]

RTT: Final = "penstock rtt"
QUEUE: Final = "penstock queue"
_MARKS: Final = {True: ("yes", "green"), False: ("no", "red"), None: ("?", "yellow")}


@click.command(cls=Command)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, as_json: bool) -> None:
    """Say what this kernel and this user can do, and what is missing for what.

    Nothing is changed: features are tried in memory, and in a network namespace of their own. The exit
    status is 1 if `penstock rtt` cannot run.
    """
    found = examine()
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(describe(found)))
    if not found["uses"][RTT]["ready"]:
        click.get_current_context().exit(1)


def examine() -> dict[str, Any]:
    """Try everything. A feature is supported (true), not (false), or this user may not find out (null)."""
    from penstock.kernel.capabilities import Capability, missing
    from penstock.kernel.features import FEATURES

    lacking = missing(tuple(Capability))
    supported = {feature: _try(feature) for feature in FEATURES}
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "jit": _jit(),
        "capabilities": {f"CAP_{each.name}": f"CAP_{each.name}" not in lacking for each in Capability},
        "features": [
            {
                "name": feature.name,
                "since": ".".join(map(str, feature.since)),
                "supported": supported[feature],
                "purpose": feature.purpose,
            }
            for feature in FEATURES
        ],
        "uses": {use: _judge(needs, missing(rights), supported) for use, (rights, needs) in uses().items()},
    }


def uses() -> dict[str, tuple[tuple[Capability, ...], tuple[Alternatives, ...]]]:
    """Return what each use needs: capabilities, and one feature of each group."""
    from penstock.kernel import features as f
    from penstock.kernel.capabilities import Capability
    from penstock.lang.maps import MapKind

    kinds = (MapKind.LRU_HASH, MapKind.PERCPU_ARRAY, MapKind.RINGBUF)
    hooks = ((f.TC,), (f.TCX, f.CLSACT))
    others = (f.MAP_MEMORY, f.LOOPS, f.SUBPROGRAMS, f.FETCHING_ATOMICS, f.FOR_EACH, f.SYSCALL)
    rtt: tuple[Alternatives, ...] = (
        *((f.MAPS[kind],) for kind in kinds),
        *hooks,
        *((each,) for each in others),
    )
    tables = (MapKind.HASH, MapKind.PROG_ARRAY, MapKind.PERCPU_ARRAY, MapKind.RINGBUF)
    parts = (f.XDP, f.XDP_LINKS, f.CHAINS, f.TC, f.XDP_BYTES)
    language = (f.MAP_MEMORY, f.LOOPS, f.SUBPROGRAMS, f.FETCHING_ATOMICS, f.FOR_EACH)
    queue = ((each,) for each in (*(f.MAPS[kind] for kind in tables), *parts, *language))
    rights = (Capability.BPF, Capability.NET_ADMIN, Capability.PERFMON)
    return {
        RTT: (rights, rtt),
        f"{RTT} --ingress xdp": (rights, (*rtt, (f.XDP,), (f.XDP_LINKS,))),
        f"{RTT} --aggregate": (
            rights,
            (*rtt, (f.MAPS[MapKind.PERCPU_HASH],), (f.MAPS[MapKind.ARRAY_OF_MAPS],)),
        ),
        f"{RTT} --no-local": (rights, (*rtt, (f.MAPS[MapKind.HASH],))),
        QUEUE: (rights, tuple(queue)),
        "penstock bench": ((*rights, Capability.SYS_ADMIN), (*rtt, (f.RUN_STATISTICS,))),
    }


def describe(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines for people."""
    yield f"Linux {found['kernel']} on {found['machine']}"
    yield f"  {_mark(found['jit'])} programs are compiled to machine code"
    for name, held in found["capabilities"].items():
        yield f"  {_mark(held)} {name}"
    yield "Features"
    for feature in found["features"]:
        since = f"Linux {feature['since']}"
        yield f"  {_mark(feature['supported'])} {feature['name']:27} {since:11} {feature['purpose']}"
    yield "Uses"
    for use, verdict in found["uses"].items():
        lacking = f": lacks {', '.join(verdict['missing'])}" if verdict["missing"] else ""
        yield f"  {_mark(verdict['ready'])} {use}{lacking}"


def _try(feature: Feature) -> bool | None:
    with suppress(KernelError):
        return feature.supported()
    return None


def _judge(needs: tuple[Alternatives, ...], rights: list[str], supported: Support) -> dict[str, Any]:
    """Return whether something can be used, and what it lacks; what could not be tried may be there."""
    unmet = [group for group in needs if all(supported[feature] is False for feature in group)]
    lacking = rights + [" or ".join(map(str, group)) for group in unmet]
    return {"ready": not lacking, "missing": lacking}


def _jit() -> bool | None:
    """Whether the kernel compiles programs: net/core/sysctl_net_core.c. None if this user may not know."""
    with suppress(OSError):
        return Path("/proc/sys/net/core/bpf_jit_enable").read_text(encoding="ascii").strip() != "0"
    return None


def _mark(value: bool | None) -> str:  # noqa: FBT001 (the value itself)
    word, color = _MARKS[value]
    return click.style(f"{word:3}", fg=color)
