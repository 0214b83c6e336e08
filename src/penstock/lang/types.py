"""Integer types and arrays of the language.

To a type checker every native integer is an `int`, so that literals and arithmetic need no ceremony, and a
big-endian integer is a class of its own that can only be compared and converted. At run time each name is the
object that describes the type to the compiler and to NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")


class Type:
    """What the compiler knows of a type: its name, and its size and alignment in bytes."""

    name: str
    size: int
    align: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type with the same layout."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, repr=False)
class IntType(Type):
    """An integer of 8, 16, 32 or 64 bits, native or big-endian."""

    name: str
    bits: int
    signed: bool = False
    big_endian: bool = False

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.bits // 8

    @property
    def align(self) -> int:  # type: ignore[override]
        return self.bits // 8

    @property
    def minimum(self) -> int:
        """The smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """The largest value."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        order = ">" if self.big_endian else "="
        return np.dtype(f"{order}{'i' if self.signed else 'u'}{self.size}")

    def wrap(self, value: int) -> int:
        """`value` modulo 2**bits, as the kernel would hold it."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if value > self.maximum else value

    def __call__(self, value: Any) -> Any:
        """Convert outside a program: wrapped at the type's width, as inside one."""
        wrapped = self.wrap(int(value))
        return BigEndian(self, wrapped) if self.big_endian else wrapped


@dataclass(frozen=True)
class BigEndian:
    """A big-endian constant, as `be16(0x0800)` makes it outside a program. `int()` gives its native value."""

    type: IntType
    value: int

    def __int__(self) -> int:
        return self.value

    def __bool__(self) -> bool:
        return self.value != 0


@dataclass(frozen=True, repr=False)
class BoolType(Type):
    """A truth value: one byte in memory."""

    name: ClassVar[str] = "bool"  # type: ignore[misc]
    size: ClassVar[int] = 1  # type: ignore[misc]
    align: ClassVar[int] = 1  # type: ignore[misc]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.bool_)


@dataclass(frozen=True, repr=False)
class ArrayType(Type):
    """`length` elements of one type, one after the other."""

    element: Type
    length: int

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.element.name}[{self.length}]"

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.element.size * self.length

    @property
    def align(self) -> int:  # type: ignore[override]
        return self.element.align

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype((self.element.dtype, (self.length,)))


@dataclass(frozen=True, repr=False)
class OpaqueType(Type):
    """A kernel object inside a map value: programs pass it to helpers and never read it."""

    name: str
    size: int
    align: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype((np.void, self.size))


BOOL = BoolType()

if TYPE_CHECKING:
    u8: TypeAlias = int
    u16: TypeAlias = int
    u32: TypeAlias = int
    u64: TypeAlias = int
    i8: TypeAlias = int
    i16: TypeAlias = int
    i32: TypeAlias = int
    i64: TypeAlias = int

    class _BigEndianInt:
        """A number that is compared with its own kind, and converted by `u16(…)` and the like."""

        def __init__(self, value: int) -> None: ...
        def __int__(self) -> int: ...
        def __bool__(self) -> bool: ...

    class be16(_BigEndianInt):
        """16 bits, the most significant byte first."""

    class be32(_BigEndianInt):
        """32 bits, the most significant byte first."""

    class be64(_BigEndianInt):
        """64 bits, the most significant byte first."""

    class SpinLock:
        """A lock in a map value: `with value.lock:` holds it. Linux 5.1."""

        def __enter__(self) -> None: ...
        def __exit__(self, *exc: object) -> None: ...

    class Timer:
        """A timer in a map value. Linux 5.15."""

    class Array(Generic[T]):
        """A field of several elements: `slots: Array[Slot] = array(4)`."""

        def __getitem__(self, index: int) -> T: ...
        def __setitem__(self, index: int, value: T) -> None: ...
        def __len__(self) -> int: ...

else:
    u8, u16, u32, u64 = (IntType(f"u{bits}", bits) for bits in (8, 16, 32, 64))
    i8, i16, i32, i64 = (IntType(f"i{bits}", bits, signed=True) for bits in (8, 16, 32, 64))
    be16, be32, be64 = (IntType(f"be{bits}", bits, big_endian=True) for bits in (16, 32, 64))
    SpinLock = OpaqueType("bpf_spin_lock", 4, 4)
    Timer = OpaqueType("bpf_timer", 16, 8)

    class Array:
        """A field of several elements: `slots: Array[Slot] = array(4)`."""

        def __class_getitem__(cls, element: Any) -> ArrayHint:
            return ArrayHint(element)


@dataclass(frozen=True)
class ArrayHint:
    """`Array[T]` as written in an annotation; the field's `array(n)` adds the length."""

    element: Any

    def __call__(self) -> None:
        """Callable, as `typing` demands of annotations."""
        raise TypeError("make a local array with zeros(type, length)")


@dataclass(frozen=True)
class ArrayLength:
    """The length given by `array(n)`, one number per dimension."""

    lengths: tuple[int, ...]


def array(*lengths: int) -> Any:
    """Give the length of an `Array` field of a Struct, outermost dimension first; ValueError below 1."""
    if not lengths or any(length <= 0 for length in lengths):
        raise ValueError(f"array({', '.join(map(str, lengths))}): give positive lengths")
    return ArrayLength(lengths)


def resolve(hint: Any, length: ArrayLength | None = None) -> Type:
    """Return the Type that an annotation names; TypeError if it names none.

    A Struct class stands for its layout; `Array[T]` needs the length that the field's `array(n)` gives.
    """
    if isinstance(hint, ArrayHint):
        if length is None:
            raise TypeError(f"{hint.element!r} array has no length: write `= array(n)`")
        outer, *lengths = length.lengths
        return ArrayType(resolve(hint.element, ArrayLength(tuple(lengths)) if lengths else None), outer)
    if hint is bool:
        return BOOL
    layout = getattr(hint, "__layout__", hint)
    if not isinstance(layout, Type):
        raise TypeError(f"{getattr(hint, '__name__', hint)!s} is not a type of the language")
    return layout
