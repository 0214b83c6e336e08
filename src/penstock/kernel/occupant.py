"""Who is there already: the program at an interface's XDP hook, and the processes that hold it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from penstock.kernel.program import program_name

if TYPE_CHECKING:
    from penstock.kernel.interface import Interface


def xdp_occupant(interface: Interface) -> str:
    """Describe the XDP program on an interface: its name and id, and its owner's where that can be found."""
    number, _ = xdp_program(interface)
    if number is None:
        return "another XDP program"
    owners = [f"{_command(process)} ({process.name})" for process in _holders(number)]
    by = f" of {', '.join(owners)}" if owners else ""
    return f"XDP program {program_name(number)} (id {number}){by}"


def xdp_program(interface: Interface) -> tuple[int | None, Literal["native", "generic"]]:
    """Return the number of the XDP program on an interface, if there is one, and its mode."""
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415 (slow to import, needed where a program is)

    with IPRoute() as netlink, contextlib.suppress(NetlinkError):  # of an interface that has gone
        (link,) = cast("Any", netlink).get_links(interface.index)
        generic = link.get_nested("IFLA_XDP", "IFLA_XDP_SKB_PROG_ID") is not None
        return link.get_nested("IFLA_XDP", "IFLA_XDP_PROG_ID"), "generic" if generic else "native"
    return None, "native"


def _holders(number: int) -> list[Path]:
    """Return the directories in /proc of the processes that hold the program, or a link of it."""
    line = re.compile(rf"^prog_id:\s*{number}$", re.MULTILINE)
    found: dict[Path, None] = {}
    for path in Path("/proc").glob("[0-9]*/fdinfo/*"):
        with contextlib.suppress(OSError):  # processes and descriptors come and go
            if line.search(path.read_text(encoding="ascii")):
                found[path.parents[1]] = None
    return list(found)


def _command(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "comm").read_text(encoding="utf-8").strip()
    return "process"
