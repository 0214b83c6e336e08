"""Line and function tables from LLVM's .BTF.ext section, as the kernel wants them.

Layout: https://docs.kernel.org/bpf/btf.html#btf-ext-section. The section counts bytes, the kernel
instructions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from penstock.compiler.elf import Object
from penstock.compiler.instructions import INSTRUCTION
from penstock.compiler.spec import SourceLine

FUNC_INFO, LINE_INFO = 8, 16
"""Where the section's header has the offset and length of each table."""

COLUMN_BITS = 10


def read_func_info(file: Object) -> bytes:
    """Return the array of `struct bpf_func_info`."""
    records = _records(file, FUNC_INFO)
    return b"".join(struct.pack("=2I", at // INSTRUCTION, kind) for at, kind in records)


def read_line_info(file: Object) -> bytes:
    """Return the array of `struct bpf_line_info`."""
    records = _records(file, LINE_INFO)
    return b"".join(struct.pack("=4I", at // INSTRUCTION, *rest) for at, *rest in records)


def source_lines(line_info: bytes, btf: bytes, order: str) -> tuple[SourceLine, ...]:
    """Return what `struct bpf_line_info` says, with the names of files."""
    length, strings = struct.unpack_from(
        order + "I8xI", btf, 4
    )  # of the header; where strings begin after it
    names = btf[length + strings :]

    def name(offset: int) -> str:
        return names[offset : names.index(0, offset)].decode()

    entries = struct.iter_unpack("=4I", line_info)
    return tuple(
        SourceLine(at, name(file), place >> COLUMN_BITS, place & (1 << COLUMN_BITS) - 1)
        for at, file, _, place in entries
    )


def _records(file: Object, table: int) -> Iterator[tuple[int, ...]]:
    """Iterate over a table's records: their size, then for each section name, count and records."""
    data, order = file.section(".BTF.ext"), file.order
    (header,) = struct.unpack_from(order + "4xI", data, 0)
    offset, length = struct.unpack_from(order + "2I", data, table)
    at, end = header + offset, header + offset + length
    (size,) = struct.unpack_from(order + "I", data, at)
    at += 4
    while at < end:
        _, count = struct.unpack_from(order + "2I", data, at)
        body = data[at + 8 : at + 8 + count * size]
        yield from struct.iter_unpack(f"{order}{size // 4}I", body)
        at += 8 + count * size
