"""Keys and values of maps: numbers, Structs and arrays for Python, bytes for the kernel."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np

from penstock.lang.struct import Struct, StructType
from penstock.lang.types import BigEndian, IntType, Type

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

T = TypeVar("T")
_NUMBERS: tuple[type[Any], ...] = (int, np.integer, BigEndian)
Record = np.ndarray[Any, Any]


class Cells(Generic[T]):
    """One value after the other, `size` bytes each."""

    def __init__(self, kind: Type) -> None:
        self.kind = kind
        self.dtype = kind.dtype
        self.size = kind.size

    def pack(self, value: T) -> bytes:
        """Return the bytes of a value. TypeError or OverflowError if it is none of this type."""
        return pack(self.kind, value)

    def unpack(self, data: bytearray) -> T:
        """Return the value that `data` holds; a Struct is a view of it."""
        return self.element(self.array(data, 1), 0)

    def array(self, data: bytearray | npt.NDArray[np.uint8], count: int) -> Record:
        """Return a view of `count` values in `data`."""
        return np.ndarray((count,), self.dtype, data)

    def element(self, values: Record, index: int) -> T:
        """Return one value of an `array`; a Struct is a view of it."""
        return unpack(self.kind, values[index : index + 1].reshape(()))

    def pack_all(self, values: Record | Iterable[T]) -> bytes:
        """Return the bytes of several values, in a NumPy array of this type or one by one."""
        if isinstance(values, np.ndarray):
            return self.pack_array(cast("Record", values))
        return b"".join(map(self.pack, values))

    def pack_array(self, values: Record) -> bytes:
        """Return the bytes of an array. TypeError if it is not of this type."""
        if values.dtype != self.dtype and (self.dtype.names or values.dtype.kind not in "iub"):
            raise TypeError(f"array of {values.dtype}, not of {self.kind}")
        return values.astype(self.dtype).tobytes()


class PerCpuCells(Cells[Record]):
    """Values that are arrays with one element per possible CPU, each copied in units of 8 bytes."""

    def __init__(self, kind: Type) -> None:
        super().__init__(kind)
        self.stride = -(-kind.size // 8) * 8
        self.size = self.stride * possible_cpus()

    def pack(self, value: Any) -> bytes:
        """Return the bytes of an array of (CPUs,), or of one value for every CPU."""
        data = bytearray(self.size)
        single = not isinstance(value, np.ndarray)
        self.array(data, 1)[0] = np.ndarray((), self.dtype, pack(self.kind, value)) if single else value
        return bytes(data)

    def array(self, data: bytearray | npt.NDArray[np.uint8], count: int) -> Record:
        """Return a view of (count, CPUs)."""
        return np.ndarray((count, possible_cpus()), self.dtype, data, strides=(self.size, self.stride))

    def element(self, values: Record, index: int) -> Record:
        """Return the array of (CPUs,) at `index`."""
        return values[index]

    def pack_array(self, values: Record) -> bytes:
        """Return the bytes of an array of (count, CPUs)."""
        data = bytearray(self.size * len(values))
        self.array(data, len(values))[:] = values
        return bytes(data)


def pack(kind: Type, value: Any) -> bytes:
    """Return the bytes of one value of a type of the language."""
    if isinstance(kind, IntType) and isinstance(value, _NUMBERS):
        order = "big" if kind.big_endian else sys.byteorder
        return int(value).to_bytes(kind.size, order, signed=kind.signed)
    if isinstance(kind, StructType) and isinstance(value, Struct) and value.__layout__ is kind:
        return bytes(value)
    if not isinstance(kind, (IntType, StructType)) and isinstance(value, (bool, np.bool_, np.ndarray)):
        return np.asarray(value, kind.dtype).tobytes()
    raise TypeError(f"{value!r} is no {kind}")


def unpack(kind: Type, value: Record) -> Any:
    """Return the Python object for a 0-d array: a Struct that is a view of it, a number, a truth value."""
    if isinstance(kind, StructType):
        return Struct.__class_of__[kind].view(value)
    if isinstance(kind, IntType) and kind.big_endian:
        return BigEndian(kind, int(value))
    return value.item()


@functools.cache
def possible_cpus() -> int:
    """Return how many values a per-CPU map holds for each key: the CPUs that this machine could have."""
    ranges = Path("/sys/devices/system/cpu/possible").read_text(encoding="ascii").strip().split(",")
    ends = [[int(end) for end in part.split("-")] for part in ranges]
    return sum(part[-1] - part[0] + 1 for part in ends)


def sum_cpus(values: Record, axis: int = -1) -> Record:
    """Add up per-CPU values field by field, wrapping at each field's width.

    Args:
        values: As per-CPU maps give them: (CPUs,) of one entry, or (entries, CPUs).
        axis: The axis of the CPUs.

    Returns:
        The same type, without that axis.
    """
    axis %= values.ndim
    if values.dtype.names is None:
        return values.sum(axis=axis, dtype=values.dtype.newbyteorder("=")).astype(values.dtype)
    total = np.zeros((*values.shape[:axis], *values.shape[axis + 1 :]), values.dtype)
    for name in values.dtype.names:
        opaque = values[name].dtype.kind == "V" and not values[name].dtype.names  # a lock or a timer
        if not opaque:
            total[name] = sum_cpus(values[name], axis)
    return total
