"""Names in a BPF file system, on request: what has one outlives its process."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

from penstock.errors import KernelError
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import ObjPin
from penstock.kernel.syscall import Command, bpf

_MAGIC: Final = 0xCAFE4A11  # BPF_FS_MAGIC of include/uapi/linux/magic.h
_libc = ctypes.CDLL(None, use_errno=True)


def pin(descriptor: int, path: str | os.PathLike[str], description: str) -> None:
    """Name the object behind a descriptor `path`. KernelError without a BPF file system, or if it exists."""
    target = Path(path)
    action = f"pin {description} at {target}"
    if not target.parent.is_dir():
        raise KernelError(f"cannot {action}: there is no directory {target.parent}")
    if not _in_bpf_file_system(target.parent):
        raise KernelError(f"cannot {action}: no BPF file system there: mount -t bpf bpf /sys/fs/bpf")
    name = ctypes.create_string_buffer(os.fsencode(target))
    with attempt(action):
        bpf(Command.OBJ_PIN, ObjPin(pathname=ctypes.addressof(name), bpf_fd=descriptor))


def open_pin(path: str | os.PathLike[str]) -> int:
    """Return a new descriptor of the object pinned at `path`. KernelError if there is none."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    with attempt(f"open the pin {os.fspath(path)}"):
        return bpf(Command.OBJ_GET, ObjPin(pathname=ctypes.addressof(name)))


def _in_bpf_file_system(directory: Path) -> bool:
    buffer = (ctypes.c_long * 32)()  # struct statfs starts with f_type, a long, and has at most 120 bytes
    if _libc.statfs(os.fsencode(directory), buffer) != 0:
        error = ctypes.get_errno()
        raise KernelError(f"cannot look at {directory}: {os.strerror(error)}")
    return buffer[0] & 0xFFFFFFFF == _MAGIC
