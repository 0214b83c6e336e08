"""Which of the process's rights something needs, and which are missing."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path


class Capability(IntEnum):
    """Bits of include/uapi/linux/capability.h. Before Linux 5.8, BPF and PERFMON were part of SYS_ADMIN."""

    NET_ADMIN = 12
    SYS_ADMIN = 21
    PERFMON = 38
    BPF = 39


def missing(needed: tuple[Capability, ...]) -> list[str]:
    """Return the names of those that this process does not have in effect."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = int(re.findall(r"^CapEff:\s*(\w+)$", status, re.MULTILINE)[0], 16)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    if held >> Capability.SYS_ADMIN & 1:  # it includes the two that were split from it
        held |= 1 << Capability.BPF | 1 << Capability.PERFMON
    lacking = [c if c <= last else Capability.SYS_ADMIN for c in needed if not held >> c & 1]
    return [f"CAP_{capability.name}" for capability in dict.fromkeys(lacking)]
