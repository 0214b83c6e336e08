"""Maps with keys: hash tables and longest-prefix match."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from penstock.errors import KernelError
from penstock.kernel import batch
from penstock.kernel.cells import Cells, PerCpuCells, Record, sum_cpus
from penstock.kernel.map import Map
from penstock.kernel.syscall import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.lang.maps import MapSpec

K = TypeVar("K")
V = TypeVar("V")


class Hash(Map, MutableMapping[K, V]):
    """A hash table, or a trie for longest-prefix match, as a dict. Each access is a system call.

    Keys and values are copies: numbers, or Structs. Programs may change the table at any time: iteration goes
    over what was there when it began, and an LRU table may have forgotten a key by the time it is looked up.
    A look-up in an `LpmTrie` finds the longest prefix that matches; deletion needs the exact one.
    """

    def __init__(self, spec: MapSpec, descriptor: int, name: str = "") -> None:
        super().__init__(spec, descriptor, name)
        assert spec.key_type is not None  # a spec with keys
        assert spec.value_type is not None
        self._keys: Cells[K] = Cells(spec.key_type)
        self._values: Cells[V] = Cells(spec.value_type)

    def __getitem__(self, key: K) -> V:
        value = self._lookup(self._keys.pack(key), self._values.size)
        if value is None:
            raise KeyError(key)
        return self._values.unpack(value)

    def __setitem__(self, key: K, value: V) -> None:
        self._update(self._keys.pack(key), self._values.pack(value))

    def __delitem__(self, key: K) -> None:
        if not self._delete(self._keys.pack(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._lookup(self._keys.pack(key), self._values.size) is not None  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[K]:
        keys = self.read()[0]
        return (self._keys.element(keys, index) for index in range(len(keys)))

    def __len__(self) -> int:
        """Count the entries, by reading them all."""
        return len(self.read()[0])

    def items(self) -> ItemsView[K, V]:
        """Return pairs as they were when the iteration over them began."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return values as they were when the iteration over them began."""
        return _Values(self)

    def clear(self) -> None:
        """Remove all entries."""
        self.read_and_clear()

    def read(self) -> tuple[Record, Record]:
        """Return all keys and all values at once, as two NumPy arrays of the same length.

        By batches since Linux 5.6 (5.13 for an LPM trie), undisturbed by programs; entry by entry before.
        """
        return self._read(Command.MAP_LOOKUP_BATCH)

    def read_and_clear(self) -> tuple[Record, Record]:
        """Return all keys and values as `read` does, and remove them.

        What programs add meanwhile is in the result or still in the table. Before Linux 5.6, and in an LPM
        trie, entries are read and removed one after the other: a change to one in between is lost.
        """
        try:
            return self._read_batches(Command.MAP_LOOKUP_AND_DELETE_BATCH)
        except OSError as error:
            if error.errno not in batch.MISSING:
                raise self._unreadable(error) from error
        keys, values = self.read()
        for index in range(len(keys)):
            self._delete(self._keys.pack(self._keys.element(keys, index)))
        return keys, values

    def update_many(self, keys: Record | Iterable[K], values: Record | Iterable[V]) -> None:
        """Store many entries: two NumPy arrays, or two iterables, of the same length.

        KernelError if the table is full; what comes before the entry that has no room is stored then.
        ValueError, and nothing stored, if there are more of one than of the other.
        """
        packed = self._keys.pack_all(keys), self._values.pack_all(values)
        count, others = len(packed[0]) // self._keys.size, len(packed[1]) // self._values.size
        if count != others:
            raise ValueError(f"{count} keys and {others} values")
        try:
            done = batch.write(self.fileno(), *packed, count, self._flags) if count else 0
        except OSError:
            done = 0
        # One by one, what the kernel cannot take in a batch, and the one that it refused, to hear why.
        for index in range(done, count):
            self._update(*(_slice(data, index, count) for data in packed))

    def _read(self, command: Command) -> tuple[Record, Record]:
        try:
            return self._read_batches(command)
        except OSError as error:
            if error.errno not in batch.MISSING:
                raise self._unreadable(error) from error
        return self._walk()

    def _read_batches(self, command: Command) -> tuple[Record, Record]:
        return batch.read(self.fileno(), self.spec.entries, (self._keys, self._values), command, self._flags)

    def _walk(self) -> tuple[Record, Record]:
        """Read from key to key. One removed on the way makes the kernel start over: steps are limited."""
        found: dict[bytes, bytearray] = {}
        key = None
        for _ in range(4 * self.spec.entries + 1):
            key = self._next_key(key, self._keys.size)
            if key is None:
                keys, values = (
                    np.frombuffer(b"".join(part), np.uint8).copy() for part in (found, found.values())
                )
                return self._keys.array(keys, len(found)), self._values.array(values, len(found))
            value = self._lookup(key, self._values.size)
            if value is not None:
                found[key] = value
        raise KernelError(f"cannot read {self._description}: it changes faster than it can be walked through")

    def _unreadable(self, error: OSError) -> KernelError:
        return KernelError(f"cannot read {self._description}: {(error.strerror or '').lower()}")

    def pairs(self) -> Iterator[tuple[K, V]]:
        """Iterate over entries as they are now."""
        keys, values = self.read()
        for index in range(len(keys)):
            yield self._keys.element(keys, index), self._values.element(values, index)


class PerCpuHash(Hash[K, Record], Generic[K, V]):
    """A hash table with one value per possible CPU: values are NumPy arrays of (CPUs,).

    `read` gives values as (n, CPUs). A single value stored goes to every CPU.
    """

    def __init__(self, spec: MapSpec, descriptor: int, name: str = "") -> None:
        super().__init__(spec, descriptor, name)
        assert spec.value_type is not None
        self._single: Cells[V] = Cells(spec.value_type)
        self._values = PerCpuCells(spec.value_type)

    def total(self, key: K) -> V:
        """Return the sum over all CPUs, field by field (`sum_cpus`). KeyError if there is no such entry."""
        return self._single.element(sum_cpus(self[key])[np.newaxis], 0)


class _Items(ItemsView[K, V]):
    _mapping: Hash[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.pairs()


class _Values(ValuesView[V]):
    _mapping: Hash[Any, V]

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping.pairs())


def _slice(data: bytes, index: int, count: int) -> bytes:
    size = len(data) // count
    return data[index * size : (index + 1) * size]
