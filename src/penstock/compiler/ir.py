"""The typed intermediate representation: what a program means, before any target.

The front end (`frontend`) builds it and has checked every rule of the language; code generation (`codegen`)
may rely on them. Rules for whoever adds to it:

- Every expression has a `type`: IntType, BoolType, or PointerType. Structs and arrays are only reached by
  pointers. An expression that yields nothing has type None and stands only in `Evaluate`.
- No implicit conversion: both sides of Binary, Compare, Select, Assign and Store have the same type.
- Evaluation order is left to right, the pointer of a Store or Copy before what is written. `Logical` and
  `Select` evaluate only what Python would.
- Target facts (helper numbers, context layouts) stay in the nodes named for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from penstock.lang.maps import Global, MapSpec, RingBuf
from penstock.lang.program import Packet, ProgramKind
from penstock.lang.types import BoolType, IntType, Type


class Loc(NamedTuple):
    """Where something stands in the user's source; lines and columns count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, repr=False)
class PointerType(Type):
    """A reference to a value of type `to`; `nullable` if it may be None, `local` if it may be to the stack.

    `to` is None for memory of no particular type (helper arguments) and for maps found in maps. `storages` is
    what it may point to on the stack of the function itself: `local` without any is the stack of a caller.
    """

    to: Type | None
    nullable: bool = False
    local: bool = False
    storages: frozenset[Storage] = frozenset()
    size = align = 8

    @property
    def name(self) -> str:  # type: ignore[override]
        if self.to is None:
            return "None" if self.nullable else "memory"
        name = f"Ref[{self.to}]" if isinstance(self.to, IntType | BoolType) else self.to.name
        return f"{name} | None" if self.nullable else name


@dataclass(frozen=True, repr=False)
class ContextType(Type):
    """The packet that a program is given; `of` is Xdp or Tc."""

    of: type[Packet]
    size = align = 8

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.of.__name__


@dataclass(eq=False)
class Variable:
    """A local name, a parameter or a hidden temporary: holds an integer, a truth value or a pointer."""

    name: str
    type: Type


@dataclass(eq=False)
class Storage:
    """A struct or array on the stack of the function."""

    name: str
    type: Type


@dataclass(slots=True, kw_only=True)
class Expr:
    """Base of expressions."""

    loc: Loc
    type: Type | None


@dataclass(slots=True)
class Const(Expr):
    """An integer or truth value, in its type's range; of a big-endian type the native value."""

    value: int


@dataclass(slots=True)
class Null(Expr):
    """None, as a pointer."""


@dataclass(slots=True)
class Var(Expr):
    """The value of a variable."""

    var: Variable


@dataclass(slots=True)
class AssignExpr(Expr):
    """Assign and yield the value (walrus, hidden temporaries)."""

    var: Variable
    value: Expr


@dataclass(slots=True)
class Sequence(Expr):
    """Statements, then a value: a struct made within an expression. No statement leaves it."""

    statements: list[Stmt]
    value: Expr


@dataclass(slots=True)
class Unary(Expr):
    """`neg` and `invert` on integers, `not` on truth values."""

    op: Literal["neg", "invert", "not"]
    operand: Expr


@dataclass(slots=True)
class Binary(Expr):
    """Arithmetic that wraps at the type's width.

    `div` and `mod` are Python's `//` and `%` (rounding down); a divisor of 0 gives 0 and the dividend, as the
    kernel defines. `shr` is arithmetic for signed types. Shift counts are taken modulo the width.
    """

    op: Literal["add", "sub", "mul", "div", "mod", "and", "or", "xor", "shl", "shr"]
    left: Expr
    right: Expr


@dataclass(slots=True)
class Compare(Expr):
    """A truth value from two integers or truth values of one type; pointers: eq or ne, against Null."""

    op: Literal["eq", "ne", "lt", "le", "gt", "ge"]
    left: Expr
    right: Expr


@dataclass(slots=True)
class Logical(Expr):
    """`and` and `or` of truth values; the right side is evaluated only if it decides."""

    op: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(slots=True)
class Select(Expr):
    """`then if condition else otherwise`, evaluating only one of the two."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(slots=True)
class Convert(Expr):
    """An integer or truth value to another integer type: truncated, or extended by the source type's sign.

    Between a big-endian type and the native ones the value stays what it is: bytes are swapped where needed.
    To a truth value: whether it is not 0.
    """

    operand: Expr


@dataclass(slots=True)
class FieldAddress(Expr):
    """Pointer to a field, `offset` bytes into the struct that `base` points to."""

    base: Expr
    field: str
    offset: int


@dataclass(slots=True)
class ElementAddress(Expr):
    """Pointer to element `index` (an unsigned integer) of the array that `base` points to."""

    base: Expr
    index: Expr


@dataclass(slots=True)
class StorageAddress(Expr):
    """Pointer to a struct or array on the stack."""

    storage: Storage


@dataclass(slots=True)
class GlobalAddress(Expr):
    """Pointer to the value of a Global map."""

    map: Global[object]


@dataclass(slots=True)
class Load(Expr):
    """The integer or truth value that a pointer points to."""

    pointer: Expr


@dataclass(slots=True)
class ContextLoad(Expr):
    """A member of the kernel's context structure, `offset` bytes into it."""

    context: Expr
    offset: int


@dataclass(slots=True)
class PacketLength(Expr):
    """Bytes between the context's data and data_end (u32)."""

    context: Expr


@dataclass(slots=True)
class PacketRead(Expr):
    """A pointer into the packet, `offset` (unsigned) bytes in, or None if not all it points to is there."""

    context: Expr
    offset: Expr


@dataclass(slots=True)
class MapAddress(Expr):
    """A map itself, as an argument of a helper."""

    map: MapSpec


@dataclass(slots=True)
class FunctionAddress(Expr):
    """A subprogram, as a callback argument of a helper."""

    function: Function


@dataclass(slots=True)
class Call(Expr):
    """A function of the program. Its type is the function's result; a TupleType only right under `Unpack`."""

    function: Function
    arguments: list[Expr]


@dataclass(slots=True)
class HelperCall(Expr):
    """A kernel helper by number. Integers are passed as 64 bits; the result is 64 bits cut to `type`."""

    name: str
    number: int
    since: tuple[int, int]
    arguments: list[Expr]


@dataclass(slots=True)
class KfuncCall(Expr):
    """A kernel function by name."""

    name: str
    arguments: list[Expr]


@dataclass(slots=True)
class RingReserve(Expr):
    """A pointer to room for a record, or None; then the map's `losses` is counted up atomically."""

    map: RingBuf[object]


@dataclass(slots=True)
class Atomic(Expr):
    """An atomic operation on 32 or 64 bits at `pointer`; the old value, or nothing for `add`."""

    op: Literal["add", "fetch_add", "fetch_and", "fetch_or", "fetch_xor", "exchange", "compare_exchange"]
    pointer: Expr
    value: Expr
    expected: Expr | None = None


@dataclass(slots=True, kw_only=True)
class Stmt:
    """Base of statements."""

    loc: Loc


@dataclass(slots=True)
class Assign(Stmt):
    """Give a variable a value."""

    var: Variable
    value: Expr


@dataclass(slots=True)
class Unpack(Stmt):
    """Give several variables the values of a call that returns a tuple."""

    variables: list[Variable]
    call: Call


@dataclass(slots=True)
class Store(Stmt):
    """Write an integer or truth value to memory."""

    pointer: Expr
    value: Expr


@dataclass(slots=True)
class ContextStore(Stmt):
    """Write a member of the kernel's context structure."""

    context: Expr
    offset: int
    value: Expr


@dataclass(slots=True)
class Copy(Stmt):
    """Copy a struct or array; both are pointers to the same type."""

    target: Expr
    source: Expr


@dataclass(slots=True)
class Zero(Stmt):
    """Fill storage with zeros, padding too."""

    storage: Storage


@dataclass(slots=True)
class Evaluate(Stmt):
    """Evaluate an expression for its effect."""

    value: Expr


@dataclass(slots=True)
class If(Stmt):
    """Branch on a truth value."""

    condition: Expr
    then: list[Stmt]
    otherwise: list[Stmt]


@dataclass(slots=True)
class While(Stmt):
    """Loop while a truth value holds; `step` runs after the body and after `continue`, not after `break`."""

    condition: Expr
    body: list[Stmt]
    step: list[Stmt]


@dataclass(slots=True)
class Break(Stmt):
    """Leave the innermost loop."""


@dataclass(slots=True)
class Continue(Stmt):
    """Go on with the innermost loop's step."""


@dataclass(slots=True)
class Return(Stmt):
    """Leave the function with its values: none, one, or as many as its TupleType has."""

    values: list[Expr]


@dataclass(frozen=True, repr=False)
class TupleType(Type):
    """Several results of a function."""

    items: tuple[Type, ...]
    size = align = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"({', '.join(item.name for item in self.items)})"


@dataclass(eq=False)
class Function:
    """One function as compiled for its argument types. `result` is None if it returns nothing.

    Inlined, unless `subprogram`: a function in the kernel, for calls or as a callback; if `alone`, one that
    is verified by itself. The front end has seen that the body returns on every path if there is a result.
    """

    name: str
    params: list[Variable]
    result: Type | None
    subprogram: bool
    loc: Loc
    body: list[Stmt] = field(default_factory=list["Stmt"])
    alone: bool = False


@dataclass(eq=False)
class Unit:
    """A whole program: the entry function first, then every function it reaches, and its maps by first use.

    `map_names` are unique and at most 15 characters, as the kernel wants them.
    """

    name: str
    kind: ProgramKind
    functions: list[Function]
    maps: list[MapSpec]
    map_names: list[str]


Node: TypeAlias = Expr | Stmt
