"""What an expression can be while it is lowered, and types that only the front end knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeGuard, Union, get_args, get_origin

from penstock.compiler import ir
from penstock.lang.maps import MapSpec, Ref
from penstock.lang.program import Packet
from penstock.lang.struct import Struct, StructType
from penstock.lang.types import BOOL, ArrayHint, ArrayType, BigEndian, BoolType, IntType, Type, resolve

U32, U64 = IntType("u32", 32), IntType("u64", 64)
I32, I64 = IntType("i32", 32, signed=True), IntType("i64", 64, signed=True)

_PLAIN: Final = (int, float, str, NoneType, BigEndian, Enum)


@dataclass(frozen=True, eq=False)
class Static:
    """A Python value known while compiling; plain ones are the same if equal, others if identical."""

    value: Any

    def _identity(self) -> tuple[Any, ...]:
        return (type(self.value), self.value) if isinstance(self.value, _PLAIN) else (Static, id(self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


@dataclass(frozen=True)
class Choice:
    """`1 if test else 0`: until something gives it a type it adapts, as the numbers in it do."""

    test: ir.Expr
    then: Literal
    otherwise: Literal

    def numbers(self) -> Iterator[int]:
        """Every number that it may be."""
        for side in (self.then, self.otherwise):
            yield from side.numbers() if isinstance(side, Choice) else (side.value,)

    def map(self, function: Callable[[Static], Static]) -> Choice:
        """The same choice between what `function` makes of the numbers."""
        then, otherwise = (
            side.map(function) if isinstance(side, Choice) else function(side)
            for side in (self.then, self.otherwise)
        )
        return Choice(self.test, then, otherwise)


Literal: TypeAlias = Static | Choice
Value: TypeAlias = Literal | ir.Expr
"""Known now, a choice between what is known now, or computed by the program."""


@dataclass(frozen=True, repr=False)
class MapType(Type):
    """A map found in an array of maps, as what a pointer points to."""

    spec: MapSpec
    size = align = 8

    @property
    def name(self) -> str:  # type: ignore[override]
        return repr(self.spec)


@dataclass(frozen=True, repr=False)
class AnyArray(Type):
    """`Array[T]` as a parameter: an array of any length."""

    element: Type | None
    size = align = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"Array[{self.element}]"


@dataclass(frozen=True, repr=False)
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
    if get_origin(hint) in (UnionType, Union):
        return _optional(get_args(hint))
    if get_origin(hint) is Ref:
        return _pointer_to(get_args(hint)[0])
    if isinstance(hint, ArrayHint):
        element = _pointer_to(hint.element)
        return element and ir.PointerType(AnyArray(element.to))
    if isinstance(hint, type) and issubclass(hint, Packet):
        return AnyPacket(hint)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return ir.PointerType(hint.__layout__)
    return BOOL if hint is bool else hint if isinstance(hint, IntType) else None


def _pointer_to(hint: Any) -> ir.PointerType | None:
    try:
        return ir.PointerType(resolve(hint))
    except TypeError:
        return None


def _optional(options: tuple[Any, ...]) -> Type | None:
    others = [option for option in options if option is not NoneType]
    inner = annotated_type(others[0]) if len(others) == 1 else None
    return replace(inner, nullable=True) if isinstance(inner, ir.PointerType) else None


def specialised(kind: Type, given: Type | None) -> Type:
    """`kind` of a parameter, for an argument of type `given`: maybe a Struct derived from the one named."""
    if isinstance(kind, ir.PointerType) and isinstance(given, ir.PointerType):
        wanted, have = (_struct_class(side.to) for side in (kind, given))
        derived = wanted and have and issubclass(have, wanted)
        return replace(kind, to=given.to if derived else kind.to, local=given.local)
    return kind


def _struct_class(kind: Type | None) -> type[Struct] | None:
    return Struct.__class_of__.get(kind) if isinstance(kind, StructType) else None


def common_int(numbers: Iterable[int]) -> IntType:
    """The type of integers that nothing else gives one: 64 bits."""
    return I64 if any(number < 0 for number in numbers) else U64


def is_number(kind: Type | None) -> TypeGuard[IntType]:
    """Whether values of the type can be computed with: big-endian ones cannot."""
    return isinstance(kind, IntType) and not kind.big_endian


def is_scalar(kind: Type | None) -> TypeGuard[IntType | BoolType]:
    """Whether values of the type are held directly, not through a pointer."""
    return isinstance(kind, IntType | BoolType)


def is_aggregate(kind: Type | None) -> bool:
    """Whether the type is reached only through pointers."""
    return isinstance(kind, StructType | ArrayType)


def describe(value: Value) -> str:
    """Name what a value is, for an error message."""
    if isinstance(value, Choice):
        return f"one of the numbers {', '.join(map(str, sorted(set(value.numbers()))))}"
    if isinstance(value, Static):
        return _describe_static(value.value)
    return value.type.name if value.type else "nothing"


def _describe_static(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return f"the number {int(value)}"
        case float() | str() | None:
            return repr(value)
        case BigEndian():
            return value.type.name
        case Enum() | Type():
            return str(value)
        case _:
            return getattr(value, "__name__", f"{type(value).__name__} object")
