"""XDP: a program that sees each frame before the kernel's stack does. By links, Linux 5.9."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Final, Literal

from penstock.errors import KernelError
from penstock.kernel.attempt import attempt
from penstock.kernel.capabilities import Capability
from penstock.kernel.link import BpfLink, create_link
from penstock.kernel.occupant import xdp_occupant

if TYPE_CHECKING:
    from penstock.kernel.interface import Interface
    from penstock.kernel.program import Program

_log = logging.getLogger(__name__)

XdpMode = Literal["auto", "native", "generic"]

_ATTACH_TYPE: Final = 37  # BPF_XDP
_FLAGS: Final = {"native": 1 << 2, "generic": 1 << 1}  # XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE


def attach_xdp(program: Program, interface: Interface, mode: XdpMode) -> BpfLink:
    """Attach a program to an interface of this thread's network namespace; see `Loaded.attach_xdp`."""
    link = attach_free_xdp(program, interface, mode)
    if link is None:
        raise occupied(program, interface)
    return link


def occupied(program: Program, interface: Interface) -> KernelError:
    """Return the error that says who is there already."""
    there = xdp_occupant(interface)
    action = f"attach {program.name} to {interface} as XDP"
    return KernelError(f"cannot {action}: {there} is there and stays; detach it first")


def attach_free_xdp(program: Program, interface: Interface, mode: XdpMode) -> BpfLink | None:
    """Attach a program, or return None if another is there."""
    if mode != "auto":
        return _attach(program, interface, mode)
    try:
        return _attach(program, interface, "native")
    except KernelError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno in _FORBIDDEN:
            raise
        _log.warning("%s; using generic mode, which is slower", error)
        return _attach(program, interface, "generic")


_OCCUPIED: Final = (errno.EBUSY, errno.EEXIST)
_FORBIDDEN: Final = (errno.EPERM, errno.EACCES)
"""Refusals that generic mode would meet as well."""


def _attach(program: Program, interface: Interface, mode: Literal["native", "generic"]) -> BpfLink | None:
    with attempt(f"attach {program.name} to {interface} as {mode} XDP", Capability.NET_ADMIN):
        try:
            descriptor = create_link(program, interface, _ATTACH_TYPE, _FLAGS[mode])
        except OSError as error:
            if error.errno in _OCCUPIED:
                return None
            raise
    return BpfLink(program.name, interface, f"XDP {mode}", descriptor)
