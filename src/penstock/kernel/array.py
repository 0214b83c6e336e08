"""Maps by index: arrays, per-CPU arrays, and single values in shared memory."""

from __future__ import annotations

import contextlib
import mmap
import operator
from typing import TYPE_CHECKING, Generic, SupportsIndex, TypeVar, cast, overload

import numpy as np

from penstock.errors import KernelError
from penstock.kernel import batch
from penstock.kernel.attempt import attempt
from penstock.kernel.cells import Cells, PerCpuCells, Record, pack, sum_cpus, unpack
from penstock.kernel.map import Map
from penstock.kernel.syscall import Command
from penstock.lang.maps import MMAPABLE
from penstock.lang.types import resolve, u32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.lang.maps import MapSpec

V = TypeVar("V")


class Indexed(Map, Generic[V]):
    """Access by index, each a system call. Negative indices count from the end, as in a list."""

    _values: Cells[V]

    def __len__(self) -> int:
        return self.spec.entries

    def __iter__(self) -> Iterator[V]:
        values = self.read()
        return (self._values.element(values, index) for index in range(len(values)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> V: ...
    @overload
    def __getitem__(self, index: slice) -> Record: ...
    def __getitem__(self, index: SupportsIndex | slice) -> V | Record:
        """Return a copy of one value, or of a slice as a NumPy array."""
        if isinstance(index, slice):
            return self.read()[index]
        return self._values.unpack(self._element_at(self._key(index)))

    @overload
    def __setitem__(self, index: SupportsIndex, value: V) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[V]) -> None: ...
    def __setitem__(self, index: SupportsIndex | slice, value: V | Iterable[V]) -> None:
        """Store a value, or as many values as the slice is long."""
        if isinstance(index, slice):
            values = cast("Iterable[V]", value)
            for position, each in zip(range(*index.indices(len(self))), values, strict=True):
                self._update(self._key(position), self._values.pack(each))
        else:
            self._update(self._key(index), self._values.pack(cast("V", value)))

    def read(self) -> Record:
        """Return all values at once as a NumPy array.

        By batches since Linux 5.6 (5.13 for per-CPU arrays), one by one before.
        """
        cells = (Cells[int](resolve(u32)), self._values)
        try:
            return batch.read(self.fileno(), len(self), cells, Command.MAP_LOOKUP_BATCH, self._flags)[1]
        except OSError as error:
            if error.errno not in batch.MISSING:
                with attempt(f"read {self._description}"):
                    raise
        values = b"".join(self._element_at(self._key(position)) for position in range(len(self)))
        return self._values.array(bytearray(values), len(self))

    def _key(self, index: SupportsIndex) -> bytes:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"{self._description} has no element {position}")
        return pack(resolve(u32), position % len(self))

    def _element_at(self, key: bytes) -> bytearray:
        value = self._lookup(key, self._values.size)
        assert value is not None  # an array has all its elements, always
        return value


class PerCpuArray(Indexed[Record], Generic[V]):
    """An array with one value per possible CPU: elements are NumPy arrays of (CPUs,).

    `read` gives (entries, CPUs). A single value stored goes to every CPU.
    """

    def __init__(self, spec: MapSpec, descriptor: int, name: str = "") -> None:
        super().__init__(spec, descriptor, name)
        assert spec.value_type is not None
        self._single: Cells[V] = Cells(spec.value_type)
        self._values = PerCpuCells(spec.value_type)

    def total(self, index: SupportsIndex) -> V:
        """Return the sum over all CPUs, field by field; see `sum_cpus`."""
        return self._single.element(sum_cpus(self[index])[np.newaxis], 0)


class Shared(Map):
    """An array whose values this process may share with the kernel. Linux 5.5."""

    _mapping: mmap.mmap | None = None

    @property
    def memory(self) -> Record:
        """The values themselves: a NumPy array of (entries,) in memory shared with the kernel.

        Reading and writing it are no system calls, and not atomic beyond 8 aligned bytes. KernelError if the
        values hold a lock or a timer, or the map is closed. Views stay valid when the map is closed.
        """
        assert self.spec.value_type is not None
        stride = -(-self.spec.value_type.size // 8) * 8
        if self._mapping is None:
            if not self.spec.flags & MMAPABLE:
                raise KernelError(
                    f"cannot map the memory of {self._description}: its values hold a lock or a timer"
                )
            pages = -(-stride * self.spec.entries // mmap.PAGESIZE)
            with attempt(f"map the memory of {self._description}"):
                self._mapping = mmap.mmap(self.fileno(), pages * mmap.PAGESIZE)
        shared = np.frombuffer(self._mapping, np.uint8)  # unlike ndarray(), it keeps the memory from going
        return np.ndarray((self.spec.entries,), self.spec.value_type.dtype, shared, strides=(stride,))

    def close(self) -> None:
        """Let go of the map. Its memory goes with the last view of it."""
        if self._mapping is not None:
            with contextlib.suppress(BufferError):  # views of it are in use
                self._mapping.close()
            self._mapping = None
        super().close()


class Array(Shared, Indexed[V]):
    """An array. `array[i]` copies; `array.memory` is shared with the programs."""

    def __init__(self, spec: MapSpec, descriptor: int, name: str = "") -> None:
        super().__init__(spec, descriptor, name)
        assert spec.value_type is not None
        self._values = Cells(spec.value_type)


class Global(Shared, Generic[V]):
    """One value in memory shared with the programs."""

    @property
    def value(self) -> V:
        """The value: a number, or a Struct whose fields are read and written in the shared memory."""
        assert self.spec.value_type is not None
        return unpack(self.spec.value_type, self.memory.reshape(()))

    @value.setter
    def value(self, new: V) -> None:
        assert self.spec.value_type is not None
        self.memory[0] = np.frombuffer(pack(self.spec.value_type, new), self.spec.value_type.dtype)[0]
