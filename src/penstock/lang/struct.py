"""Structs with C layout, shared by programs, map values and NumPy."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from penstock.lang.types import ArrayLength, ArrayType, BigEndian, IntType, Type, resolve


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

    In a program, `Key()` makes a zeroed one on the stack, a name is a reference to it, and assigning a struct to
    a field copies it. In Python an instance is a view of `data`, a 0-d NumPy record, with the same field names.

    >>> class Endpoint(Struct):
    ...     address: be32
    ...     port: be16
    """

    __layout__: ClassVar[StructType]
    __class_of__: ClassVar[dict[StructType, type[Struct]]] = {}
    data: npt.NDArray[Any]

    def __init_subclass__(cls, *, packed: bool = False) -> None:
        scope = {**vars(sys.modules[cls.__module__]), **sys._getframe(1).f_locals}
        members: dict[str, Type] = {}
        for name, hint in cls.__dict__.get("__annotations__", {}).items():
            hint = eval(hint, scope) if isinstance(hint, str) else hint
            length = cls.__dict__.get(name)
            try:
                members[name] = resolve(hint, length if isinstance(length, ArrayLength) else None)
            except TypeError as error:
                raise TypeError(f"{cls.__name__}.{name}: {error}") from None
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
        return type(self) is type(other) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__layout__.fields)
        return f"{type(self).__name__}({fields})"


class _Member:
    """Descriptor of one field of an instance in Python."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def __get__(self, instance: Struct | None, owner: type[Struct]) -> Any:
        if instance is None:
            return self.field
        kind = self.field.type
        value = instance.data[self.field.name]
        if isinstance(kind, StructType):
            return Struct.__class_of__[kind].view(value)
        if isinstance(kind, ArrayType):
            return value
        if isinstance(kind, IntType) and kind.big_endian:
            return BigEndian(kind, int(value))
        return value.item()

    def __set__(self, instance: Struct, value: Any) -> None:
        if isinstance(value, Struct):
            value = value.data
        elif isinstance(value, BigEndian):
            value = value.value
        instance.data[self.field.name] = value


def _round_up(offset: int, align: int) -> int:
    return -(-offset // align) * align
