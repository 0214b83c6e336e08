"""BPF instructions by hand (RFC 9669): for what is loaded without the compiler."""

from __future__ import annotations

import struct
import sys


def instruction(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """Return the 8 bytes of an instruction, in this machine's byte order."""
    registers = dst | src << 4 if sys.byteorder == "little" else dst << 4 | src
    return struct.pack("=BBhi", code, registers, offset, immediate)
