"""What an expression can be while it is lowered: known now (`Static`) or computed by the program (`ir.Expr`)."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

from penstock.compiler import ir
from penstock.lang.maps import MapSpec, Ref
from penstock.lang.program import Packet
from penstock.lang.struct import Struct, StructType
from penstock.lang.types import (
    BOOL,
    ArrayHint,
    ArrayType,
    BigEndian,
    BoolType,
    IntType,
    Type,
    i64,
    resolve,
    u64,
)


@dataclass(frozen=True)
class Static:
    """A Python value known while compiling."""

    value: Any


Value: TypeAlias = Static | ir.Expr


@dataclass(slots=True)
class LiteralSelect(ir.Select):
    """`1 if test else 0`: as long as nothing else gives it a type it adapts, like the literals in it."""


@dataclass(frozen=True)
class MapType(Type):
    """A map found in an array of maps, as what a pointer points to."""

    spec: MapSpec
    size = align = 8

    @property
    def name(self) -> str:  # type: ignore[override]
        return repr(self.spec)


@dataclass(frozen=True)
class AnyArray(Type):
    """`Array[T]` as a parameter: an array of any length."""

    element: Type
    size = align = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"Array[{self.element}]"


@dataclass(frozen=True)
class AnyPacket(Type):
    """A parameter that takes packets of class `of` or derived from it."""

    of: type[Packet]
    size = align = 8

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.of.__name__


NONE = ir.PointerType(None, nullable=True)
"""The type of None before it is known what else a name may be."""


def annotated_type(hint: Any) -> Type | None:
    """The type that a parameter or variable annotation names; None if it is no type of the language."""
    if isinstance(hint, ArrayHint):
        return ir.PointerType(AnyArray(resolve(hint.element)))
    if isinstance(hint, type) and issubclass(hint, Packet):
        return AnyPacket(hint)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return ir.PointerType(hint.__layout__)
    if get_origin(hint) is Ref:
        return ir.PointerType(resolve(get_args(hint)[0]))
    if get_origin(hint) in (UnionType, Union):
        return _optional(get_args(hint))
    if isinstance(hint, Type):
        return hint
    return BOOL if hint is bool else None


def _optional(options: tuple[Any, ...]) -> Type | None:
    others = [o for o in options if o is not NoneType]
    inner = annotated_type(others[0]) if len(others) == 1 and len(options) == 2 else None
    return ir.PointerType(inner.to, nullable=True) if isinstance(inner, ir.PointerType) else None


def specialised(kind: Type, given: Type | None) -> Type:
    """`kind` of a parameter, for an argument of type `given`: it may be a Struct derived from the one annotated."""
    if isinstance(kind, ir.PointerType) and isinstance(given, ir.PointerType):
        wanted, have = (Struct.__class_of__.get(side) for side in (kind.to, given.to))  # type: ignore[arg-type]
        if wanted and have and issubclass(have, wanted):
            return ir.PointerType(given.to, nullable=kind.nullable)
    return kind


def default_int(value: int) -> IntType:
    """The type of an integer that nothing else gives one: 64 bits."""
    return i64 if value < 0 else u64  # type: ignore[return-value]  # IntType objects at run time


def is_scalar(kind: Type | None) -> bool:
    """Whether values of the type are held directly, not through a pointer."""
    return isinstance(kind, IntType | BoolType)


def is_aggregate(kind: Type | None) -> bool:
    """Whether the type is reached only through pointers."""
    return isinstance(kind, StructType | ArrayType)


def describe(value: Value) -> str:
    """Name a value's type for an error message."""
    if isinstance(value, Static):
        if isinstance(value.value, bool):
            return "bool"
        if isinstance(value.value, int):
            return f"the number {int(value.value)}"
        return "None" if value.value is None else f"{value.value!r}"
    return value.type.name if value.type else "nothing"


def static_type(value: Any) -> Type | None:
    """The type a static value has by itself; None for integers, which adapt, and for what programs cannot hold."""
    if isinstance(value, bool):
        return BOOL
    return value.type if isinstance(value, BigEndian) else None
