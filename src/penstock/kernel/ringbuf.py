"""The reader of a ring buffer: it maps the ring and takes out all finished records at once. Linux 5.8.

The layout is that of kernel/bpf/ringbuf.c: a page with the consumer's position, a page with the producers',
and the data, mapped twice in a row so that no record is ever split. Each record follows a header of 8 bytes
whose first word is its length and two flags, and is padded to 8 bytes. All records of a ring are of one type,
so they are equally far apart, and a run of them is one strided array.
"""

from __future__ import annotations

import mmap
import select
import struct
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from penstock.kernel.attempt import attempt
from penstock.kernel.map import Map
from penstock.kernel.ordering import fence

if TYPE_CHECKING:
    from penstock.kernel.array import Global
    from penstock.lang.maps import RingBuf

V = TypeVar("V")

_BUSY: Final = np.uint32(1 << 31)  # BPF_RINGBUF_BUSY_BIT: a program still writes it
_HEADER: Final = struct.Struct("=I")
_DISCARDED: Final = np.uint32(1 << 30)  # BPF_RINGBUF_DISCARD_BIT


class Ring(Map, Generic[V]):
    """A ring buffer's only reader. It has a `fileno` that `select`, `selectors` and asyncio can wait for."""

    def __init__(self, spec: RingBuf[V], descriptor: int, losses: Global[int], name: str = "") -> None:
        super().__init__(spec, descriptor, name)
        record = spec.record_type
        self._losses = losses
        self._size = spec.entries
        self._step = 8 + -(-record.size // 8) * 8
        self._slot = np.dtype(
            {
                "names": ["length", "record"],
                "formats": [np.uint32, record.dtype],
                "offsets": [0, 8],
                "itemsize": self._step,
            }
        )
        with attempt(f"map the memory of {self._description}"):
            self._consumer = mmap.mmap(descriptor, mmap.PAGESIZE)
            self._producer = mmap.mmap(
                descriptor, mmap.PAGESIZE + 2 * self._size, prot=mmap.PROT_READ, offset=mmap.PAGESIZE
            )
        self._consumed = np.ndarray((), np.uint64, self._consumer)
        self._produced = np.ndarray((), np.uint64, self._producer)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    @property
    def lost(self) -> int:
        """How many records programs could not write because the ring was full."""
        return self._losses.value

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something to read, for at most `timeout` seconds; whether there is.

        A program that submits with NO_WAKEUP does not end the wait; what is there when it begins, does.
        """
        self.fileno()  # not when closed
        return bool(self._poll.poll(None if timeout is None else timeout * 1000))

    def read(self, limit: int | None = None) -> np.ndarray[Any, Any]:
        """Take out all finished records, or the first `limit`, as a NumPy array in the order of reservation.

        A record that a program is still writing ends the run. Does not wait: the array may be empty.
        """
        self.fileno()  # not when closed
        start = int(self._consumed)
        count = (int(self._produced) - start) // self._step
        fence()  # headers are read after the position that covers them
        slots = self._slots(start, count if limit is None else min(count, limit))
        lengths = slots["length"]
        busy = np.flatnonzero(lengths & _BUSY)
        slots = slots[: busy[0]] if len(busy) else slots
        fence()  # records are read after the headers that say they are finished
        discarded = (lengths[: len(slots)] & _DISCARDED).astype(bool)
        records = slots["record"][~discarded] if discarded.any() else slots["record"].copy()
        fence()  # the room is given back after the records were copied
        self._consumed[...] = start + len(slots) * self._step
        return records

    def skip(self) -> None:
        """Drop all finished records: for a ring that only wakes its reader."""
        position, end = int(self._consumed), int(self._produced)
        while position < end:
            (header,) = _HEADER.unpack_from(self._producer, mmap.PAGESIZE + position % self._size)
            if header & int(_BUSY):
                break
            position += self._step
        self._consumed[...] = position

    def close(self) -> None:
        """Let go of the ring. Records that were read stay: they are copies."""
        super().close()
        self._consumer.close()
        self._producer.close()

    def _slots(self, start: int, count: int) -> np.ndarray[Any, Any]:
        offset = mmap.PAGESIZE + start % self._size
        return np.ndarray((count,), self._slot, self._producer, offset)
