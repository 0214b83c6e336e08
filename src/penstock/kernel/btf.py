"""Type information (BTF, Documentation/bpf/btf.rst): what we tell the kernel, and what it tells of itself."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import KernelError
from penstock.kernel.attributes import BtfLoad
from penstock.kernel.handle import Handle
from penstock.kernel.syscall import Command, bpf

if TYPE_CHECKING:
    from collections.abc import Collection

_LOG_SIZE: Final = 1 << 16
_VMLINUX: Final = Path("/sys/kernel/btf/vmlinux")

_FUNC: Final = 12
# Words after struct btf_type's three, by kind (include/uapi/linux/btf.h): so many, and so many a member.
_FIXED: Final = {1: 1, 3: 3, 14: 1, 17: 1}
_PER_MEMBER: Final = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}


def load_btf(blob: bytes) -> Handle:
    """Hand type information to the kernel. KernelError with the kernel's reason if it refuses."""
    held = ctypes.create_string_buffer(blob, len(blob))
    attributes = BtfLoad(btf=ctypes.addressof(held), btf_size=len(blob))
    try:
        return Handle(bpf(Command.BTF_LOAD, attributes), "type information")
    except OSError as error:
        log = ctypes.create_string_buffer(_LOG_SIZE)
        attributes.btf_log_buf, attributes.btf_log_size = ctypes.addressof(log), _LOG_SIZE
        attributes.btf_log_level = 1
        try:
            return Handle(bpf(Command.BTF_LOAD, attributes), "type information")
        except OSError:
            lines = log.value.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else (error.strerror or "").lower()
        raise KernelError(f"cannot load type information (BTF, Linux 4.18): {reason}") from error


def kernel_functions(names: Collection[str]) -> dict[str, int]:
    """Return the type numbers of those of the kernel's own functions that it has. Linux 5.4.

    KernelError if the kernel tells no types of its own.
    """
    try:
        blob = _VMLINUX.read_bytes()
    except FileNotFoundError as error:
        raise KernelError(f"cannot find kernel functions: this kernel has no {_VMLINUX}") from error
    header, types, type_bytes, strings = struct.unpack_from("=4xIIII", blob)
    wanted = {
        blob.find(f"\0{name}\0".encode(), header + strings) + 1 - header - strings: name for name in names
    }
    words = memoryview(blob)[header + types : header + types + type_bytes].cast("I")
    found: dict[str, int] = {}
    position = number = 0
    while position < len(words) and len(found) < len(names):
        number += 1
        info = words[position + 1]
        kind = info >> 24 & 0x1F
        if kind == _FUNC and words[position] in wanted:
            found[wanted[words[position]]] = number
        position += 3 + _FIXED.get(kind, 0) + _PER_MEMBER.get(kind, 0) * (info & 0xFFFF)
    return found
