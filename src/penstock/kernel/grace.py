"""Waiting until no CPU runs a program any more that was replaced, nor acts on what memory held before."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Final

_GLOBAL: Final = 1  # MEMBARRIER_CMD_GLOBAL of include/uapi/linux/membarrier.h

# __NR_membarrier of each architecture's syscall table.
_NUMBER: Final = {
    "x86_64": 324,
    "aarch64": 283,
    "riscv64": 283,
    "loongarch64": 283,
    "s390x": 356,
    "ppc64": 365,
    "ppc64le": 365,
    "sparc64": 351,
    "mips64": 5318,
}.get(os.uname().machine)

_LONG: Final = 0.1
"""s; where the kernel does not say, a program has ended after that."""


def wait_for_programs() -> None:
    """Return when all programs that were running at the call have ended: about 10 ms. Linux 4.3.

    They run in read-side sections of RCU, and membarrier(2) waits for a grace period. Where CPUs have no tick
    (nohz_full), it refuses to.
    """
    if _NUMBER is None or ctypes.CDLL(None).syscall(_NUMBER, _GLOBAL, 0, 0) != 0:
        time.sleep(_LONG)
