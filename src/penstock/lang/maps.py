"""Maps as programs declare them: pure data, made real when a program is loaded.

Each class is one kind of kernel map. Its methods are what a program may call; in Python the loaded map
(`loaded[spec]`, see `penstock.kernel`) offers its own. A look-up gives a reference to the value in the map,
or None; integers are reached through `.value`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Generic, NoReturn, TypeVar, overload

from penstock.lang.struct import Field, StructType
from penstock.lang.types import ArrayType, OpaqueType, Type, be16, be32, be64, resolve, u32, u64

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S")
M = TypeVar("M", bound="MapSpec")


class MapKind(IntEnum):
    """`enum bpf_map_type` of include/uapi/linux/bpf.h."""

    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    DEVMAP = 14
    XSKMAP = 17
    RINGBUF = 27


NO_PREALLOC = 1 << 0  # BPF_F_NO_PREALLOC
MMAPABLE = 1 << 10  # BPF_F_MMAPABLE


class Ref(Generic[V]):
    """A reference to an integer in a map: read or write `.value`."""

    value: V


class MapSpec:
    """What the kernel is asked to create. The same object is the same map in every program."""

    kind: MapKind
    key_type: Type | None = None
    value_type: Type | None = None
    inner: MapSpec | None = None
    flags: int = 0

    def __init__(self, entries: int, *, name: str = "") -> None:
        if entries <= 0:
            raise ValueError(f"{type(self).__name__} of {entries} entries: must be positive")
        self.entries = entries
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name or 'unnamed'})"


def _in_program() -> NoReturn:
    raise TypeError("a map's spec is used inside programs; in Python use the loaded map")


class KeyedSpec(MapSpec, Generic[K, V]):
    """A map with keys and values."""

    def __init__(self, key: type[K], value: type[V], entries: int, *, name: str = "") -> None:
        super().__init__(entries, name=name)
        self.key_type = resolve(key)
        self.value_type = _value_type(value)
        self.key_hint: Any = key
        self.value_hint: Any = value

    @overload
    def lookup(self: KeyedSpec[K, bool], key: K) -> Ref[bool] | None: ...
    @overload
    def lookup(self: KeyedSpec[K, int], key: K) -> Ref[int] | None: ...
    @overload
    def lookup(self: KeyedSpec[K, be16], key: K) -> Ref[be16] | None: ...
    @overload
    def lookup(self: KeyedSpec[K, be32], key: K) -> Ref[be32] | None: ...
    @overload
    def lookup(self: KeyedSpec[K, be64], key: K) -> Ref[be64] | None: ...
    @overload
    def lookup(self, key: K) -> V | None: ...
    def lookup(self, key: Any) -> Any:
        """Return a reference to the value of `key`, or None."""
        _in_program()

    def update(self, key: K, value: V, flags: int = 0) -> int:
        """Store a copy of `value`; 0, or a negative errno. Flags: ANY (0), NOEXIST (1), EXIST (2)."""
        _in_program()

    def delete(self, key: K) -> int:
        """Remove `key`; 0, or a negative errno."""
        _in_program()

    @overload
    def for_each(self: KeyedSpec[K, int], callback: Callable[[K, Ref[int], S], int], state: S) -> int: ...
    @overload
    def for_each(self, callback: Callable[[K, V, S], int], state: S) -> int: ...
    def for_each(self, callback: Any, state: Any) -> int:
        """Call `callback(key, value, state)` for each entry until it returns 1; return how often. Linux 5.13.

        Keys that are integers are given as such, values that are integers as a `Ref` or as such.
        """
        _in_program()


class HashMap(KeyedSpec[K, V]):
    """Hash table, allocated in full when it is created."""

    kind = MapKind.HASH


class LruHash(KeyedSpec[K, V]):
    """Hash table that makes room by forgetting what was not used lately. Linux 4.10."""

    kind = MapKind.LRU_HASH


class PerCpuHash(KeyedSpec[K, V]):
    """Hash table with one value per CPU."""

    kind = MapKind.PERCPU_HASH


class LpmTrie(KeyedSpec[K, V]):
    """Longest-prefix match. Linux 4.11.

    The key is a Struct whose first field is `prefix: u32`, its length in bits.
    """

    kind = MapKind.LPM_TRIE
    flags = NO_PREALLOC


class IndexedSpec(MapSpec, Generic[V]):
    """A map indexed by a u32."""

    def __init__(self, value: type[V], entries: int, *, name: str = "") -> None:
        super().__init__(entries, name=name)
        self.key_type = resolve(u32)
        self.value_type = _value_type(value)
        self.value_hint: Any = value

    @overload
    def lookup(self: IndexedSpec[bool], index: int) -> Ref[bool] | None: ...
    @overload
    def lookup(self: IndexedSpec[int], index: int) -> Ref[int] | None: ...
    @overload
    def lookup(self: IndexedSpec[be16], index: int) -> Ref[be16] | None: ...
    @overload
    def lookup(self: IndexedSpec[be32], index: int) -> Ref[be32] | None: ...
    @overload
    def lookup(self: IndexedSpec[be64], index: int) -> Ref[be64] | None: ...
    @overload
    def lookup(self, index: int) -> V | None: ...
    def lookup(self, index: int) -> Any:
        """Return a reference to element `index`, or None if there is none."""
        _in_program()

    @overload
    def for_each(self: IndexedSpec[int], callback: Callable[[int, Ref[int], S], int], state: S) -> int: ...
    @overload
    def for_each(self, callback: Callable[[int, V, S], int], state: S) -> int: ...
    def for_each(self, callback: Any, state: Any) -> int:
        """Call `callback(index, value, state)` for each element until it returns 1. Linux 5.13."""
        _in_program()


class ArrayMap(IndexedSpec[V]):
    """Array in memory that Python can map (`loaded[spec].memory`), unless its values hold locks or timers.

    Linux 5.5 for the mapping.
    """

    kind = MapKind.ARRAY

    def __init__(self, value: type[V], entries: int, *, name: str = "") -> None:
        super().__init__(value, entries, name=name)
        self.flags = 0 if holds_opaque(resolve(value)) else MMAPABLE


class PerCpuArray(IndexedSpec[V]):
    """Array with one value per CPU."""

    kind = MapKind.PERCPU_ARRAY


class Global(MapSpec, Generic[V]):
    """One value that programs reach without a look-up and Python through shared memory. Linux 5.5."""

    kind = MapKind.ARRAY
    flags = MMAPABLE

    def __init__(self, value: type[V], *, name: str = "") -> None:
        super().__init__(1, name=name)
        self.key_type = resolve(u32)
        self.value_type = _value_type(value)
        self.value_hint: Any = value

    @property
    def value(self) -> V:
        """The value: `state.value.count += 1`, or `state.value` itself where it is an integer."""
        _in_program()

    @value.setter
    def value(self, new: V) -> None:
        _in_program()


class RingBuf(MapSpec, Generic[V]):
    """Stream of records to one reader. `size` in bytes: a power of two, a page at least. Linux 5.8.

    What does not fit is counted (`loaded[spec].lost`), by the program itself.
    """

    kind = MapKind.RINGBUF

    def __init__(self, record: type[V], size: int, *, name: str = "") -> None:
        super().__init__(size, name=name)
        if size & (size - 1) or size % 4096:
            raise ValueError(
                f"ring buffer of {size} bytes: must be a power of two and a multiple of the page"
            )
        self.record_type = resolve(record)
        self.record_hint: Any = record
        self.losses: Global[int] = Global(u64, name="lost")

    @overload
    def reserve(self: RingBuf[int]) -> Ref[int] | None: ...
    @overload
    def reserve(self) -> V | None: ...
    def reserve(self) -> Any:
        """Return room for a record, not zeroed, or None if the ring is full, which is counted as a loss.

        Every record reserved must be submitted or discarded on every path.
        """
        _in_program()

    @overload
    def submit(self: RingBuf[int], record: Ref[int], flags: int = 0) -> None: ...
    @overload
    def submit(self, record: V, flags: int = 0) -> None: ...
    def submit(self, record: Any, flags: int = 0) -> None:
        """Hand the record to the reader, and wake it if it had caught up.

        Flags: NO_WAKEUP (1), FORCE_WAKEUP (2).
        """
        _in_program()

    @overload
    def discard(self: RingBuf[int], record: Ref[int], flags: int = 0) -> None: ...
    @overload
    def discard(self, record: V, flags: int = 0) -> None: ...
    def discard(self, record: Any, flags: int = 0) -> None:
        """Give the room back."""
        _in_program()

    def query(self, what: int) -> int:
        """Amounts in bytes: 0 available data, 1 ring size, 2 consumer and 3 producer position."""
        _in_program()


class DevMap(MapSpec):
    """Interfaces to redirect to, by index. Linux 4.14."""

    kind = MapKind.DEVMAP

    def __init__(self, entries: int, *, name: str = "") -> None:
        super().__init__(entries, name=name)
        self.key_type = self.value_type = resolve(u32)

    def redirect(self, index: int, flags: int = 0) -> int:
        """Send the packet to interface `index` when the program returns this; else the action in `flags`."""
        _in_program()


class XskMap(DevMap):
    """AF_XDP sockets by index. Linux 4.18."""

    kind = MapKind.XSKMAP


class ProgArray(MapSpec):
    """Programs to continue with, by index: `tail_call(packet, programs, index)`."""

    kind = MapKind.PROG_ARRAY

    def __init__(self, entries: int, *, name: str = "") -> None:
        super().__init__(entries, name=name)
        self.key_type = self.value_type = resolve(u32)


class ArrayOfMaps(MapSpec, Generic[M]):
    """Maps by index, all shaped like `inner`; Python exchanges them while programs run. Linux 4.12."""

    kind = MapKind.ARRAY_OF_MAPS

    def __init__(self, inner: M, entries: int, *, name: str = "") -> None:
        super().__init__(entries, name=name)
        self.key_type = self.value_type = resolve(u32)
        self.inner = inner

    def lookup(self, index: int) -> M | None:
        """Return the map at `index`, or None."""
        _in_program()


def holds_opaque(kind: Type) -> bool:
    """Whether a value has a spin lock or a timer in it, so that the kernel wants its BTF."""
    return any(isinstance(field.type, OpaqueType) for field in _fields(kind))


def _fields(kind: Type) -> list[Field]:
    return list(kind.fields.values()) if isinstance(kind, StructType) else []


def _value_type(value: Any) -> Type:
    """The type of a map's values. The kernel looks for locks and timers at the top of a value only."""
    kind = resolve(value)
    if isinstance(kind, OpaqueType) or any(_hides_opaque(field.type) for field in _fields(kind)):
        raise TypeError(f"{kind}: locks and timers are fields of the value itself, not of what lies in it")
    return kind


def _hides_opaque(kind: Type) -> bool:
    if isinstance(kind, ArrayType):
        return isinstance(kind.element, OpaqueType) or _hides_opaque(kind.element)
    return holds_opaque(kind) or any(_hides_opaque(field.type) for field in _fields(kind))
