"""TCX: programs at the tc hooks, by links and without a qdisc. Linux 6.6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from penstock.kernel.attempt import attempt
from penstock.kernel.capabilities import Capability
from penstock.kernel.link import BpfLink, create_link

if TYPE_CHECKING:
    from penstock.kernel.interface import Interface
    from penstock.kernel.program import Program

Direction = Literal["ingress", "egress"]

_ATTACH_TYPES: Final = {"ingress": 46, "egress": 47}  # BPF_TCX_INGRESS, BPF_TCX_EGRESS
_BEFORE: Final = 1 << 3  # BPF_F_BEFORE, of nothing in particular: of all


def attach_tcx(program: Program, interface: Interface, direction: Direction, *, first: bool) -> BpfLink:
    """Attach a program to an interface of this thread's network namespace; see `Loaded.attach_tc`."""
    with attempt(f"attach {program.name} to {interface} by TCX {direction}", Capability.NET_ADMIN):
        flags = _BEFORE if first else 0
        descriptor = create_link(program, interface, _ATTACH_TYPES[direction], flags)
    return BpfLink(program.name, interface, f"TCX {direction}", descriptor)
