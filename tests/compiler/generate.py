"""Hypothesis strategies for programs: typed expressions, statements and functions, as Python source.

All that is generated is in the language and ends: operands have one type, loops are bounded, indices are
masked. Nothing asks for more than 64 bits on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

RANGES: Mapping[str, tuple[int, int]] = {
    **{f"u{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    **{f"i{bits}": (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in (8, 16, 32, 64)},
}
INTS = tuple(RANGES)
BIG = ("be16", "be32", "be64")
KINDS = (*INTS, *BIG, "bool")
FIELDS = {f"{kind}_{copy}": kind for kind in KINDS for copy in ("a", "b")}
"""Fields of the input: two of each type."""

_ARITHMETIC = ("+", "-", "*", "&", "|", "^", "//", "%", "<<", ">>")
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True)
class Function:
    """A function that may be called: the types that it takes and gives."""

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """What can be read and written where something is generated."""

    readable: Mapping[str, str]
    """Source of what can be read, and its type."""

    writable: Mapping[str, str] = field(default_factory=dict[str, str])
    arrays: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Source of each array, the type of its elements and its length, a power of two."""

    functions: tuple[Function, ...] = ()

    def callable(self) -> list[Function]:
        """The functions for which there are arguments."""
        kinds = {*KINDS, *self.readable.values()}
        return [function for function in self.functions if kinds.issuperset(function.takes)]

    def adding(self, name: str, kind: str, *, writable: bool = True) -> Names:
        """The same and one more name."""
        written = {**self.writable, name: kind} if writable else self.writable
        return replace(self, readable={**self.readable, name: kind}, writable=written)


class Writer:
    """Writes source by what Hypothesis draws."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self._fresh = 0

    def pick(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def number(self, kind: str) -> int:
        """A literal of a type, an edge more often than not."""
        low, high = RANGES[kind]
        powers = [1 << bit for bit in range(high.bit_length()) if bit % 4 in (0, 3)]
        edges = [0, 1, 2, 7, high, high - 1, *powers, *([-1, -2, -7, low, low + 1] if low else [])]
        return self._draw(st.one_of(st.sampled_from(edges), st.integers(low, high)))

    def fresh(self, letter: str) -> str:
        self._fresh += 1
        return f"{letter}{self._fresh}"

    # Expressions: `known` is whether it may be something that the compiler knows.

    def value(self, names: Names, kind: str, depth: int, *, known: bool = True) -> str:
        """An expression of a type."""
        if depth <= 0:
            return self._leaf(names, kind, known=known)
        if kind == "bool":
            return self._truth(names, depth, known=known)
        forms = ["conversion", "choice", "call", *(["leaf"] if depth == 1 else [])]
        if kind in INTS:
            forms += ["arithmetic"] * 6 + ["unary", "extreme", "element"]
        form = self.pick(*forms)
        return getattr(self, f"_{form}")(names, kind, depth - 1, known=known)

    def _leaf(self, names: Names, kind: str, _depth: int = 0, *, known: bool) -> str:
        here = [source for source, other in names.readable.items() if other == kind]
        if here and (not known or self.pick(True, True, False)):
            return self.pick(*here)
        if kind == "bool":
            if known and self.pick(True, False):
                return self.pick("True", "False")
            return f"({self.value(names, 'u8', 0, known=known)} {self.pick(*_COMPARISONS)} 3)"
        if known:
            return self._literal(kind)
        source, other = self.pick(*[item for item in names.readable.items() if item[1] in INTS])
        return f"{kind}({self._native(kind, source, other)})"

    def _literal(self, kind: str) -> str:
        return f"{kind}({self.number('u' + kind[2:] if kind in BIG else kind)})"

    def _native(self, kind: str, source: str, other: str) -> str:
        """`source`, of type `other`, as `kind` takes it."""
        return f"u{kind[2:]}({source})" if kind in BIG and other != f"u{kind[2:]}" else source

    def _arithmetic(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        operator = self.pick(*_ARITHMETIC)
        left = self.value(names, kind, depth, known=known)
        right = self.operand(names, kind, depth, operator)
        if operator not in ("//", "%", "<<", ">>") and self.pick(True, False, False):
            left, right = right, left
        elif self.pick(True, False, False, False, False):
            left = str(self.number(kind))
            right = self.value(names, kind, depth, known=False)
        return f"({left} {operator} {right})"

    def operand(self, names: Names, kind: str, depth: int, operator: str) -> str:
        """The right side of an operator whose left side has type `kind`."""
        if kind == "bool" or self.pick(True, True, False):
            return self.value(names, kind, depth, known=operator not in ("//", "%", "<<", ">>"))
        if operator in ("<<", ">>"):
            return str(self._draw(st.integers(0, int(kind[1:]) - 1)))
        number = self.number(kind)
        if operator in ("//", "%"):
            return str(number or 3)
        if self.pick(True, False):
            test = self._comparison(names, 0)
            return f"({number} if {test} else {self.number(kind)})"
        return str(number)

    def _unary(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        return f"({self.pick('-', '~')}{self.value(names, kind, depth, known=known)})"

    def _extreme(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        left = self.value(names, kind, depth, known=known)
        return f"{self.pick('min', 'max')}({left}, {self.operand(names, kind, depth, 'min')})"

    def _conversion(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        if kind in BIG:
            return f"{kind}({self.value(names, 'u' + kind[2:], depth, known=known)})"
        big = "be" + kind[1:]
        other = self.pick(*INTS, "bool", *([big, big] if big in BIG else []))
        return f"{kind}({self.value(names, other, depth, known=known)})"

    def _choice(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        test = self.test(names, depth) if known else self._comparison(names, depth)
        then, otherwise = (self.value(names, kind, depth) for _ in range(2))
        return f"({then} if {test} else {otherwise})"

    def _call(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        found = [function for function in names.callable() if function.gives == (kind,)]
        if not found:
            return self._leaf(names, kind, known=known)
        return self.call(names, self.pick(*found), depth)

    def call(self, names: Names, function: Function, depth: int) -> str:
        """A call with arguments that are expressions, or literals."""
        given = [
            str(self.number(kind))
            if kind in INTS and self.pick(True, False, False)
            else self.value(names, kind, 0 if kind == "Pair" else min(depth, 1), known=kind != "Pair")
            for kind in function.takes
        ]
        return f"{function.name}({', '.join(given)})"

    def _element(self, names: Names, kind: str, depth: int, *, known: bool) -> str:
        here = {source: size for source, (other, size) in names.arrays.items() if other == kind}
        if not here:
            return self._leaf(names, kind, known=known)
        source = self.pick(*here)
        return f"{source}[{self.index(names, here[source], depth)}]"

    def index(self, names: Names, length: int, depth: int) -> str:
        """An index: constant, or masked."""
        if self.pick(True, False, False):
            return str(self._draw(st.integers(0, length - 1)))
        kind = self.pick("u8", "u16", "u32", "u64")
        return f"{self.value(names, kind, min(depth, 1), known=False)} & {length - 1}"

    def _truth(self, names: Names, depth: int, *, known: bool) -> str:
        form = self.pick("leaf", "comparison", "comparison", "logic", "not", "bool", "in", "choice", "call")
        if not known or form == "comparison":
            return self._comparison(names, depth - 1)
        if form == "logic":
            parts = [self.value(names, "bool", depth - 1) for _ in range(self.pick(2, 2, 3))]
            return f"({self.pick(' and ', ' or ').join(parts)})"
        if form in ("not", "bool"):
            kind = self.pick(*KINDS)
            operand = self.value(names, kind, depth - 1)
            return f"(not {operand})" if form == "not" else f"bool({operand})"
        if form == "in":
            kind = self.pick(*INTS)
            operand = self.value(names, kind, depth - 1)
            items = (self.operand(names, kind, 0, "in") for _ in range(self.pick(1, 2, 3)))
            return f"({operand} {self.pick('in', 'not in')} ({', '.join(items)},))"
        return getattr(self, f"_{form}")(names, "bool", depth - 1, known=True)

    def _comparison(self, names: Names, depth: int) -> str:
        """A comparison that the compiler cannot decide, maybe in a chain."""
        kind = self.pick(*INTS, *INTS, *BIG, "bool")
        first = self.value(names, kind, depth, known=False)
        if kind in BIG:
            return f"({first} {self.pick('==', '!=')} {self.value(names, kind, depth)})"
        operators = self._draw(st.lists(st.sampled_from(_COMPARISONS), min_size=1, max_size=2))
        rest = [f" {operator} {self.operand(names, kind, depth, operator)}" for operator in operators]
        return f"({first}{''.join(rest)})"

    def test(self, names: Names, depth: int) -> str:
        """A condition: truth values, or anything that has one."""
        if self.pick(True, True, False):
            return self.value(names, "bool", depth)
        parts = [self.value(names, self.pick(*KINDS), depth) for _ in range(self.pick(1, 2))]
        return f"({self.pick(' and ', ' or ').join(parts)})"


@dataclass(frozen=True)
class Place:
    """Where statements stand: how many more may be nested, in a loop or not, and what is returned."""

    room: int
    gives: tuple[str, ...]
    in_loop: bool = False

    def inside(self, *, loop: bool = False) -> Place:
        return Place(self.room - 1, self.gives, self.in_loop or loop)


Block = tuple[list[str], Names]
"""Lines, and the names after them."""


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines] or ["    pass"]


class StatementWriter(Writer):
    """Writes statements, too. What a block assigns first is known in that block only."""

    def block(self, names: Names, place: Place, most: int) -> Block:
        lines: list[str] = []
        forms = ["local", "assign", "augment", "swap", "store", "unpack", "leave", "leave"]
        forms += ["branch", "branch", "until", "count"] if place.room else []
        for _ in range(self._draw(st.integers(1, most))):
            more, names = getattr(self, f"_{self.pick(*forms)}")(names, place)
            lines += more
        return lines, names

    def _local(self, names: Names, _place: Place) -> Block:
        form, name = self.pick("scalar", "scalar", "annotated", "array", "pair"), self.fresh("v")
        if form == "pair":
            places = {f"{name}.left": "u32", f"{name}.right": "i16"}
            arrays = {**names.arrays, f"{name}.items": ("i64", 2)}
            readable = {**names.readable, **places, name: "Pair"}
            return [f"{name} = Pair()"], replace(
                names, readable=readable, writable={**names.writable, **places}, arrays=arrays
            )
        if form == "array":
            kind, length = self.pick(*INTS), self.pick(2, 4)
            return [f"{name} = zeros({kind}, {length})"], replace(
                names, arrays={**names.arrays, name: (kind, length)}
            )
        kind = self.pick(*INTS, *INTS, *BIG, "bool")
        annotation = f": {kind}" if form == "annotated" else ""
        return [f"{name}{annotation} = {self.value(names, kind, 2)}"], names.adding(name, kind)

    def _assign(self, names: Names, _place: Place) -> Block:
        name = self.pick(*names.writable)
        return [f"{name} = {self.value(names, names.writable[name], 2)}"], names

    def _augment(self, names: Names, _place: Place) -> Block:
        found = {name: kind for name, kind in names.writable.items() if kind in INTS}
        for source, (kind, length) in names.arrays.items():
            found[f"{source}[{self.index(names, length, 1)}]"] = kind
        name, operator = self.pick(*found), self.pick(*_ARITHMETIC)
        return [f"{name} {operator}= {self.operand(names, found[name], 1, operator)}"], names

    def _swap(self, names: Names, _place: Place) -> Block:
        one, other = self.pick(*names.writable), self.pick(*names.writable)
        values = (self.value(names, names.writable[name], 1) for name in (one, other))
        return [f"{one}, {other} = {', '.join(values)}"], names

    def _store(self, names: Names, place: Place) -> Block:
        if not names.arrays:
            return self._assign(names, place)
        source = self.pick(*names.arrays)
        kind, length = names.arrays[source]
        return [f"{source}[{self.index(names, length, 1)}] = {self.value(names, kind, 2)}"], names

    def _unpack(self, names: Names, place: Place) -> Block:
        found = [function for function in names.callable() if len(function.gives) > 1]
        if not found:
            return self._local(names, place)
        function = self.pick(*found)
        given = self.call(names, function, 1)
        targets = [self.fresh("v") for _ in function.gives]
        for name, kind in zip(targets, function.gives, strict=True):
            names = names.adding(name, kind)
        return [f"{', '.join(targets)} = {given}"], names

    def _leave(self, names: Names, place: Place) -> Block:
        ways = ["break", "continue"] * place.in_loop or [self.result(names, place.gives)]
        return [f"if {self._comparison(names, 1)}:", f"    {self.pick(*ways)}"], names

    def result(self, names: Names, gives: tuple[str, ...]) -> str:
        return f"return {', '.join(self.value(names, kind, 1) for kind in gives)}".rstrip()

    def _branch(self, names: Names, place: Place) -> Block:
        heads = self.pick(["if"], ["if", "else"], ["if", "elif"], ["if", "elif", "else"])
        lines: list[str] = []
        for head in heads:
            lines.append(f"{head}:" if head == "else" else f"{head} {self.test(names, 1)}:")
            lines += indented(self.block(names, place.inside(), 2)[0])
        return lines, names

    def _until(self, names: Names, place: Place) -> Block:
        """A loop that ends by its count, if not before."""
        name, kind = self.fresh("n"), self.pick(*INTS)
        names = names.adding(name, kind, writable=False)
        test = f"{name} < {self.pick(1, 2, 3, 4)}"
        if self.pick(True, False):
            test = f"{test} and {self.test(names, 1)}"
        body = [f"{name} += 1", *self.block(names, place.inside(loop=True), 2)[0]]
        return [f"{name} = {kind}(0)", f"while {test}:", *indented(body)], names

    def _count(self, names: Names, place: Place) -> Block:
        name, (bounds, kind) = self.fresh("step"), self._bounds(names)
        body = self.block(names.adding(name, kind), place.inside(loop=True), 2)[0]
        return [f"for {name} in range({bounds}):", *indented(body)], names

    def _bounds(self, names: Names) -> tuple[str, str]:
        """What a range of few numbers is given, maybe the last of a type, and their type."""
        kind, form = self.pick(*INTS), self.pick("literal", "stop", "both", "high", "low", "down")
        low, high = RANGES[kind]
        step = self.pick(1, 2, 3)
        few = f"{self.value(names, kind, 1, known=False)} & 3"
        if form == "stop":
            return few, kind
        if form == "both":
            return f"{few}, {self.value(names, kind, 0, known=False)} & 7, {step}", kind
        if form == "high":
            return f"{kind}({high - self.pick(1, 2, 4)}), {high}, {step}", kind
        if form == "low":
            return f"{kind}({low}), {low + self.pick(1, 2, 4)}, {step}", kind
        if form == "down" and low:
            return self.pick(f"{few}, -1, -{step}", f"{kind}({low + 4}), {low}, -{step}"), kind
        return str(self.pick(0, 1, 3)), "u64"

    def function(self, names: Names, name: str) -> tuple[str, Function]:
        """A function: inlined, maybe with several results or a struct, or one of the kernel's."""
        form = self.pick("inlined", "several", "struct", "subprogram")
        takes = tuple(self._draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4)))
        gives = tuple(self.pick(*INTS, "bool") for _ in range(2 if form == "several" else 1))
        here = Names({}, functions=names.functions)
        for number, kind in enumerate(takes):
            here = here.adding(f"x{number}", kind)
        if form == "struct":
            takes = ("Pair", *takes)
            here = here.adding("pair.left", "u32").adding("pair.right", "i16")
            here = replace(here, arrays={"pair.items": ("i64", 2)})
        here = here.adding("total", "u16")
        lines, after = self.block(here, Place(1, gives), 3)
        names_of = ["pair"] * (form == "struct") + [f"x{number}" for number in range(len(takes))]
        given = ", ".join(f"{item}: {kind}" for item, kind in zip(names_of, takes, strict=False))
        result = gives[0] if len(gives) == 1 else f"tuple[{', '.join(gives)}]"
        decorator = ["@subprogram"] * (form == "subprogram")
        body = ["total = u16(0)", *lines, self.result(after, gives)]
        source = [*decorator, f"def {name}({given}) -> {result}:", *indented(body)]
        return "\n".join(source) + "\n\n\n", Function(name, takes, gives)

    def work(self, functions: tuple[Function, ...], name: str) -> tuple[str, dict[str, str]]:
        """A function that leaves all its variables in fields of `out`; also those fields and their types."""
        names = replace(INPUTS, functions=functions)
        fields = {f"{name}_sum": "u64", f"{name}_least": "i8"}
        for item, kind in fields.items():
            names = names.adding(f"out.{item}", kind)
        lines, after = self.block(names, Place(2, ()), 6)
        kept = {item: kind for item, kind in after.readable.items() if item not in names.readable}
        for item, (kind, length) in after.arrays.items():
            kept |= {f"{item}[{index}]": kind for index in range(length)}
        for number, (item, kind) in enumerate(kept.items()):
            if kind != "Pair":
                fields[f"{name}_{number}"] = kind
                lines.append(f"out.{name}_{number} = {item}")
        source = [f"def {name}(inputs: Inputs, out: Results) -> None:", *indented(lines)]
        return "\n".join(source) + "\n\n\n", fields


HEADER = "\n".join(
    ["class Inputs(Struct):", *(f"    {name}: {kind}" for name, kind in FIELDS.items()), "", ""]
)
INPUTS = Names({f"inputs.{name}": kind for name, kind in FIELDS.items()})


@dataclass(frozen=True)
class Module:
    """A generated module, and the fields of its `Results`, each with the source that computes it."""

    source: str
    results: Mapping[str, str]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  # Hypothesis calls it
        printer.text(f"<a module with {len(self.results)} results>")


def module(results: Mapping[str, str], functions: str, calls: str) -> str:
    """The source of a module whose program fills in `results`: fields and their types."""
    fields = "".join(f"    {name}: {kind}\n" for name, kind in results.items())
    return f"""{HEADER}
class Results(Struct):
{fields}

results = Global(Results)


class Pair(Struct):
    left: u32
    right: i16
    items: Array[i64] = array(2)


{functions}@xdp
def program(packet: Xdp) -> int:
    inputs = packet.read(Inputs, 0)
    if inputs is None:
        return XDP_ABORTED
{calls}    return XDP_PASS
"""


@st.composite
def expressions(draw: Any, count: int = 24) -> Module:
    """A module that computes `count` expressions."""
    writer = Writer(draw)
    kinds = {f"r{number}": writer.pick(*INTS, *INTS, *BIG, "bool") for number in range(count)}
    sources = {name: writer.value(INPUTS, kind, 3) for name, kind in kinds.items()}
    lines = "".join(f"    results.value.{name} = {source}\n" for name, source in sources.items())
    return Module(module(kinds, "", lines), sources)


@st.composite
def programs(draw: Any, count: int = 5) -> Module:
    """A module of `count` small programs, and functions that they call."""
    writer, names, helpers = StatementWriter(draw), INPUTS, ""
    for number in range(writer.pick(1, 2, 3)):
        source, function = writer.function(names, f"function{number}")
        names, helpers = replace(names, functions=(*names.functions, function)), helpers + source
    kinds, sources, works = dict[str, str](), dict[str, str](), ""
    for number in range(count):
        work, fields = writer.work(names.functions, f"work{number}")
        kinds, works = kinds | fields, works + work
        sources |= dict.fromkeys(fields, helpers + work)
    calls = "".join(f"    work{number}(inputs, results.value)\n" for number in range(count))
    return Module(module(kinds, helpers + works, calls), sources)


def _edges(kind: str) -> st.SearchStrategy[int]:
    if kind == "bool":
        return st.integers(0, 1)
    low, high = RANGES["u" + kind[2:] if kind in BIG else kind]
    powers = [1 << bit for bit in range(high.bit_length())]
    signed = [-1, -2, low, low + 1, *(-power for power in powers)] if low else []
    return st.one_of(st.sampled_from([0, 1, 2, 3, high, high - 1, *powers, *signed]), st.integers(low, high))


def inputs(count: int = 8) -> st.SearchStrategy[list[dict[str, int]]]:
    """Values for the fields of `Inputs`; beside what is drawn, all 0, all 1, all greatest and all least."""
    ends = {
        name: (0, 1) if kind == "bool" else RANGES["u" + kind[2:] if kind in BIG else kind]
        for name, kind in FIELDS.items()
    }
    fixed = [
        dict.fromkeys(FIELDS, 0),
        dict.fromkeys(FIELDS, 1),
        {name: end[1] for name, end in ends.items()},
        {name: end[0] for name, end in ends.items()},
        {name: end[0] or end[1] for name, end in ends.items()},
        {name: -1 if end[0] else 2 * (end[1] > 1) for name, end in ends.items()},
    ]
    drawn = st.fixed_dictionaries({name: _edges(kind) for name, kind in FIELDS.items()})
    return st.lists(drawn, min_size=count - len(fixed), max_size=count - len(fixed)).map(
        lambda more: fixed + more
    )
