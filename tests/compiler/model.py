"""The language's meaning, in plain Python: the same source runs here on numbers that wrap.

Python itself evaluates order, short circuits, chains, loops and calls. What differs from Python are the
numbers, and they are below: nothing here comes from the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, ClassVar, get_args


class Int:
    """A native integer: arithmetic wraps, and only a literal may stand beside another type."""

    bits: ClassVar[int]
    signed: ClassVar[bool]

    def __init__(self, value: Any) -> None:
        number = int(value) & ((1 << self.bits) - 1)
        self.value = number - (1 << self.bits) if self.signed and number >> (self.bits - 1) else number

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __bool__(self) -> bool:
        return self.value != 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value})"

    __hash__ = None  # type: ignore[assignment]


def _other(number: Int, other: Any) -> int:
    """The other operand; a literal must fit in the type, anything else must be of it."""
    if type(other) is int:
        assert int(type(number)(other)) == other, f"{other} does not fit in {type(number).__name__}"
        return other
    assert type(other) is type(number), f"{number!r} and {other!r}"
    return other.value


def _floor_divide(a: int, b: int, _bits: int) -> int:
    return a // b if b else 0


def _modulo(a: int, b: int, _bits: int) -> int:
    return a % b if b else a


_ARITHMETIC: Mapping[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, _: a + b,
    "sub": lambda a, b, _: a - b,
    "mul": lambda a, b, _: a * b,
    "floordiv": _floor_divide,
    "mod": _modulo,
    "and": lambda a, b, _: a & b,
    "or": lambda a, b, _: a | b,
    "xor": lambda a, b, _: a ^ b,
    "lshift": lambda a, b, bits: a << b % bits,
    "rshift": lambda a, b, bits: a >> b % bits,
}
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def _define(name: str, compute: Callable[[int, int, int], int]) -> None:
    def forward(self: Int, other: Any) -> Int:
        return type(self)(compute(self.value, _other(self, other), self.bits))

    def backward(self: Int, other: Any) -> Int:
        return type(self)(compute(_other(self, other), self.value, self.bits))

    setattr(Int, f"__{name}__", forward)
    setattr(Int, f"__r{name}__", backward)


for _name, _compute in _ARITHMETIC.items():
    _define(_name, _compute)
for _name, _test in _COMPARISONS.items():
    setattr(Int, f"__{_name}__", lambda self, other, test=_test: test(self.value, _other(self, other)))
Int.__neg__ = lambda self: type(self)(-self.value)  # type: ignore[attr-defined]
Int.__invert__ = lambda self: type(self)(~self.value)  # type: ignore[attr-defined]


class Big:
    """A big-endian integer: compared with its own kind, converted, and nothing else."""

    bits: ClassVar[int]

    def __init__(self, value: Any) -> None:
        self.value = int(value) & ((1 << self.bits) - 1)

    def __int__(self) -> int:
        return self.value

    def __bool__(self) -> bool:
        return self.value != 0

    def __eq__(self, other: object) -> bool:
        assert type(other) is type(self), f"{self!r} and {other!r}"
        return self.value == other.value

    __hash__ = None  # type: ignore[assignment]


INTEGERS: Mapping[str, type[Int]] = {
    f"{letter}{bits}": type(f"{letter}{bits}", (Int,), {"bits": bits, "signed": letter == "i"})
    for letter in "ui"
    for bits in (8, 16, 32, 64)
}
BIG_ENDIAN: Mapping[str, type[Big]] = {
    f"be{bits}": type(f"be{bits}", (Big,), {"bits": bits}) for bits in (16, 32, 64)
}


def typed(kind: Any, value: Any) -> Any:
    """`value` in a place of type `kind`: literals adapt, all else must be of it."""
    if isinstance(kind, type) and issubclass(kind, Int):
        return kind(_other(kind(0), value))
    if get_args(kind):
        return tuple(typed(item, part) for item, part in zip(get_args(kind), value, strict=True))
    if kind is not None:
        assert isinstance(value, kind), f"{value!r} is no {kind}"
    return value


class Elements:
    """An array: zeros to begin with, no negative index."""

    def __init__(self, kind: type[Int], length: int) -> None:
        self.kind = kind
        self.values = [kind(0)] * length

    def _place(self, index: Any) -> int:
        assert 0 <= int(index) < len(self.values), index
        return int(index)

    def __getitem__(self, index: Any) -> Int:
        return self.values[self._place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[self._place(index)] = typed(self.kind, value)

    def __len__(self) -> int:
        return len(self.values)


class Array:
    """`x: Array[u8] = array(4)` in a struct."""

    def __init__(self, kind: type[Int]) -> None:
        self.kind = kind

    def __class_getitem__(cls, kind: type[Int]) -> Array:
        return cls(kind)


class Struct:
    """Fields, zero to begin with."""

    def __init__(self) -> None:
        for name, kind in type(self).__annotations__.items():
            is_array = isinstance(kind, Array)
            zero = Elements(kind.kind, getattr(type(self), name)) if is_array else kind(0)
            object.__setattr__(self, name, zero)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, typed(type(self).__annotations__[name], value))


class Global:
    """One value."""

    def __init__(self, kind: type[Struct]) -> None:
        self.value = kind()


class Packet:
    """A packet that holds one header."""

    def __init__(self, header: Struct) -> None:
        self.header = header

    def read(self, header: type[Struct], offset: int) -> Struct:
        assert isinstance(self.header, header)
        assert offset == 0
        return self.header


def _range(*bounds: Any) -> Iterator[Int]:
    """Count in the type of the bounds; in 64 bits if they are literals."""
    kinds = [type(bound) for bound in bounds if isinstance(bound, Int)]
    kind = kinds[0] if kinds else INTEGERS["i64" if any(bound < 0 for bound in bounds) else "u64"]
    for bound in bounds[:2]:
        typed(kind, bound)
    return map(kind, range(*map(int, bounds)))


def _pick(choose: Callable[..., int], a: Any, b: Any) -> Int:
    kind = type(a) if isinstance(a, Int) else type(b)
    return kind(choose(typed(kind, a).value, typed(kind, b).value))


def _function(function: FunctionType) -> Callable[..., Any]:
    """`function` with arguments and result in the types that it says."""
    *kinds, result = function.__annotations__.values()

    def call(*arguments: Any) -> Any:
        return typed(result, function(*map(typed, kinds, arguments)))

    return call


def run(source: str) -> dict[str, Any]:
    """Execute a generated module; its names, functions being callable with values of this model."""
    names: dict[str, Any] = {
        **INTEGERS,
        **BIG_ENDIAN,
        "Array": Array,
        "Global": Global,
        "Struct": Struct,
        "Xdp": Packet,
        "XDP_ABORTED": 0,
        "XDP_PASS": 2,
        "array": lambda length: length,
        "max": lambda a, b: _pick(max, a, b),
        "min": lambda a, b: _pick(min, a, b),
        "range": _range,
        "subprogram": lambda function: function,
        "xdp": lambda function: function,
        "zeros": Elements,
    }
    exec(compile(source, "<model>", "exec", dont_inherit=True), names)  # noqa: S102  # written by the test itself
    for name, value in names.items():
        if isinstance(value, FunctionType) and value.__annotations__ and value.__module__ != __name__:
            names[name] = _function(value)
    return names
