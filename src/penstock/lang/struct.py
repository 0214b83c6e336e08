"""Structs with C layout, shared by programs, map values and NumPy."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from penstock.lang.types import BOOL, ArrayLength, ArrayType, BigEndian, IntType, Type, resolve

_TAKEN: Final = ("data", "view")
"""Names that every Struct has in Python."""


@dataclass(frozen=True)
class Field:
    """One member of a Struct; `offset` in bytes."""

    name: str
    type: Type
    offset: int


class StructType(Type):
    """The layout of a Struct class. Two classes are two types, however alike."""

    def __init__(self, name: str, members: dict[str, Type], *, packed: bool) -> None:
        self.name = name
        self.packed = packed
        self.align = 1 if packed else max((t.align for t in members.values()), default=1)
        offset = 0
        self.fields: dict[str, Field] = {}
        for field_name, kind in members.items():
            offset = offset if packed else _round_up(offset, kind.align)
            self.fields[field_name] = Field(field_name, kind, offset)
            offset += kind.size
        self.size = _round_up(offset, self.align)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy structured type with the same offsets and size."""
        members = self.fields.values()
        return np.dtype(
            {
                "names": [f.name for f in members],
                "formats": [f.type.dtype for f in members],
                "offsets": [f.offset for f in members],
                "itemsize": self.size,
            }
        )


class Struct:
    """Base of every struct: annotate the fields, in order.

    In a program, `Key()` makes a zeroed one on the stack, a name is a reference to it, and assigning a struct
    to a field copies it. In Python an instance is a view of `data`, a 0-d NumPy record, with the same field
    names; writing to a field raises ValueError or TypeError for what it cannot hold.

    A derived Struct has the fields of its base first; one that it names again gets its new type in place.

    >>> class Endpoint(Struct):
    ...     address: be32
    ...     port: be16
    """

    __layout__: ClassVar[StructType]
    __class_of__: ClassVar[dict[StructType, type[Struct]]] = {}
    data: npt.NDArray[Any]

    def __init_subclass__(cls, *, packed: bool | None = None) -> None:
        base: StructType | None = getattr(cls, "__layout__", None)
        members = {field.name: field.type for field in base.fields.values()} if base else {}
        here = inspect.currentframe()
        members |= _members(cls, here and here.f_back)
        if not members:
            raise TypeError(f"{cls.__name__} has no fields")
        if packed is None:
            packed = base is not None and base.packed
        cls.__layout__ = StructType(cls.__name__, members, packed=packed)
        Struct.__class_of__[cls.__layout__] = cls
        for field in cls.__layout__.fields.values():
            setattr(cls, field.name, _Member(field))

    def __init__(self, **fields: Any) -> None:
        self.data = np.zeros((), self.__layout__.dtype)
        for name, value in fields.items():
            if name not in self.__layout__.fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            setattr(self, name, value)

    @classmethod
    def view(cls, data: npt.NDArray[Any]) -> Self:
        """Return an instance that reads and writes `data`, a 0-d array of this layout."""
        instance = cls.__new__(cls)
        instance.data = data
        return instance

    def __bytes__(self) -> bytes:
        return self.data.tobytes()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Struct) or type(self) is not type(other):
            return NotImplemented
        return bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__layout__.fields)
        return f"{type(self).__name__}({fields})"


def _members(cls: type[Struct], place: FrameType | None) -> dict[str, Type]:
    """The fields that a class names, resolved in `place`, where it is defined."""
    module, local_names = (dict(place.f_globals), place.f_locals) if place else (dict[str, Any](), None)
    members: dict[str, Type] = {}
    for name, hint in inspect.get_annotations(cls).items():
        if name in _TAKEN or name.startswith("__"):
            raise TypeError(
                f"{cls.__name__}.{name}: a Struct has something of that name already, take another"
            )
        length = vars(cls).get(name)
        try:
            kind = eval(hint, module, local_names) if isinstance(hint, str) else hint  # noqa: S307  # as Python
            members[name] = resolve(kind, length if isinstance(length, ArrayLength) else None)
        except (TypeError, NameError) as error:
            raise TypeError(f"{cls.__name__}.{name}: {error}") from None
    return members


class StructArray:  # noqa: PLW1641  # it can change, so it has no hash
    """An array of Structs in Python: elements are views, and are copied when they are assigned."""

    def __init__(self, kind: ArrayType, data: npt.NDArray[Any]) -> None:
        self.kind, self.data = kind, data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        at = range(len(self))[operator.index(index)]
        return unpack(self.kind.element, self.data[at : at + 1].reshape(self.data.shape[1:]))

    def __setitem__(self, index: int, value: Any) -> None:
        self.data[operator.index(index)] = exact(self.kind.element, value)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, StructArray) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))


def _holds_structs(kind: Type) -> bool:
    return _holds_structs(kind.element) if isinstance(kind, ArrayType) else isinstance(kind, StructType)


def unpack(kind: Type, value: npt.NDArray[Any]) -> Any:
    """Return what stands in Python for a value in memory: a view of a Struct or array, or a number."""
    if isinstance(kind, StructType):
        return Struct.__class_of__[kind].view(value)
    if isinstance(kind, ArrayType):
        return StructArray(kind, value) if _holds_structs(kind) else value
    if isinstance(kind, IntType) and kind.big_endian:
        return BigEndian(kind, int(value))
    return value.item()


def exact(kind: Type, value: Any) -> Any:
    """Return `value` as NumPy stores it in a field of type `kind`; TypeError or ValueError if it cannot."""
    if isinstance(kind, ArrayType):
        items = list(value)
        if len(items) != kind.length:
            raise ValueError(f"{len(items)} elements for {kind}")
        return np.array([exact(kind.element, item) for item in items], kind.element.dtype.base)
    if isinstance(kind, StructType) and isinstance(value, Struct) and value.__layout__ is kind:
        return value.data
    if kind is BOOL and (value is True or value is False):
        return value
    if isinstance(kind, IntType):
        return _exact_integer(kind, value)
    raise TypeError(f"{value!r} is no {kind}")


def _native(kind: IntType, value: Any) -> Any:
    return value.value if isinstance(value, BigEndian) and value.type == kind else value


def _exact_integer(kind: IntType, value: Any) -> int:
    number: int = operator.index(_native(kind, value))
    if not kind.minimum <= number <= kind.maximum:
        raise ValueError(f"{number} does not fit in {kind}")
    return number


class _Member:
    """Descriptor of one field of an instance in Python."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def __get__(self, instance: Struct | None, _owner: type[Struct]) -> Any:
        return self.field if instance is None else unpack(self.field.type, instance.data[self.field.name])

    def __set__(self, instance: Struct, value: Any) -> None:
        try:
            instance.data[self.field.name] = exact(self.field.type, value)
        except (TypeError, ValueError) as error:
            name = f"{type(instance).__name__}.{self.field.name}"
            raise type(error)(f"{name}: {error}") from None


def _round_up(offset: int, align: int) -> int:
    return -(-offset // align) * align
