"""bpf(2) by number: all that this package asks of the kernel's BPF goes through `bpf()`."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from enum import IntEnum
from typing import Final

from penstock.errors import KernelError
from penstock.kernel.attributes import Attributes

NOT_SUPPORTED: Final = 524
"""ENOTSUPP of include/linux/errno.h: the kernel's own, unknown to `errno`."""

_LOAD_ATTEMPTS: Final = 10
"""A pending signal makes the verifier give up with EAGAIN; so often is the load tried again."""

# __NR_bpf of each architecture's syscall table; the 64-bit ones, since positions in shared memory are `long`.
_NUMBER: Final = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "s390x": 351,
    "ppc64": 361,
    "ppc64le": 361,
    "sparc64": 349,
    "mips64": 5315,
}.get(os.uname().machine)


def running_kernel() -> tuple[int, int]:
    """Return the first two numbers of the kernel's version."""
    major, minor = re.findall(r"\d+", os.uname().release)[:2]
    return int(major), int(minor)


class Command(IntEnum):
    """`enum bpf_cmd` of include/uapi/linux/bpf.h."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_TEST_RUN = 10
    PROG_GET_NEXT_ID = 11
    MAP_GET_NEXT_ID = 12
    PROG_GET_FD_BY_ID = 13
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO_BY_FD = 15
    BTF_LOAD = 18
    MAP_LOOKUP_BATCH = 24
    MAP_LOOKUP_AND_DELETE_BATCH = 25
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    LINK_CREATE = 28
    LINK_UPDATE = 29
    LINK_GET_FD_BY_ID = 30
    LINK_GET_NEXT_ID = 31
    ENABLE_STATS = 32


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
_syscall.restype = ctypes.c_long


def bpf(command: Command, attributes: Attributes) -> int:
    """Call the kernel: a descriptor or 0; OSError if it refuses. Only what a handler raises ends it early."""
    if _NUMBER is None:
        raise KernelError(f"cannot call bpf(2): its number on {os.uname().machine} is unknown to penstock")
    again = _LOAD_ATTEMPTS if command is Command.PROG_LOAD else 0
    while True:
        result = _syscall(_NUMBER, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
        if result >= 0:
            return result
        error = ctypes.get_errno()
        if error == errno.EAGAIN and again:
            again -= 1
        elif error != errno.EINTR:
            raise OSError(error, "operation not supported" if error == NOT_SUPPORTED else os.strerror(error))
