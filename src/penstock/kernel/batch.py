"""Many entries by one call (Linux 5.6), or entry by entry on kernels and maps that cannot."""

from __future__ import annotations

import ctypes
import errno
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.kernel.attributes import MapBatch
from penstock.kernel.syscall import NOT_SUPPORTED, Command, bpf

if TYPE_CHECKING:
    from penstock.kernel.cells import Cells, Record

MISSING: Final = (errno.EINVAL, NOT_SUPPORTED)
"""What a kernel says that has no batch operations, or none for a kind of map."""

_CHUNK: Final = 1 << 22
"""Bytes asked for at a time."""


def read(
    descriptor: int, entries: int, cells: tuple[Cells[Any], Cells[Any]], command: Command, flags: int
) -> tuple[Record, Record]:
    """Return all keys and all values of a map; OSError (`MISSING`) if this kernel cannot do it.

    Args:
        descriptor: The map's.
        entries: How many entries it may have.
        cells: Of keys and of values.
        command: MAP_LOOKUP_BATCH or MAP_LOOKUP_AND_DELETE_BATCH.
        flags: Of each look-up.
    """
    sizes = [cell.size for cell in cells]
    room = min(entries, max(_CHUNK // sum(sizes), 64))
    cursors = [ctypes.create_string_buffer(max(sizes[0], 4)) for _ in range(2)]
    batch = MapBatch(map_fd=descriptor, elem_flags=flags, out_batch=ctypes.addressof(cursors[0]))
    parts: list[list[np.ndarray[Any, Any]]] = []
    ended = False
    while not ended:
        part = [np.empty(room * size, np.uint8) for size in sizes]
        batch.keys, batch.values = (data.ctypes.data for data in part)
        batch.count = room
        try:
            bpf(command, batch)
        except FileNotFoundError:
            ended = True
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            room *= 2  # a bucket of the hash table holds more than there was room for
            continue
        parts.append([data[: batch.count * size] for data, size in zip(part, sizes, strict=True)])
        # the next call reads where this one wrote, and writes elsewhere
        cursors.reverse()
        batch.in_batch, batch.out_batch = batch.out_batch, ctypes.addressof(cursors[0])
    keys, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    count = len(keys) // sizes[0]
    return cells[0].array(keys, count), cells[1].array(values, count)


def write(descriptor: int, keys: bytes, values: bytes, count: int, flags: int) -> int:
    """Store entries until one is refused; return how many went in. OSError (`MISSING`) as for `read`."""
    held = [np.frombuffer(data, np.uint8) for data in (keys, values)]
    batch = MapBatch(
        map_fd=descriptor,
        keys=held[0].ctypes.data,
        values=held[1].ctypes.data,
        count=count,
        elem_flags=flags,
    )
    try:
        bpf(Command.MAP_UPDATE_BATCH, batch)
    except OSError as error:
        if error.errno in MISSING:
            raise
    return batch.count
