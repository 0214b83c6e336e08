"""A unit as text, for people and for golden tests: a line for each statement, in the manner of Python.

Constants carry their type (`5:u32`), variables where they are first assigned; `&` is the address of a field
or element, `*` what a reference to an integer refers to, `t` a temporary without a name in the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatchmethod

from penstock.compiler import ir
from penstock.compiler.codegen.alignment import pointee
from penstock.lang.types import BoolType

_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "//", "mod": "%", "and": "&", "or": "|", "xor": "^",
    "shl": "<<", "shr": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "neg": "-", "invert": "~", "not": "not ",
}  # fmt: skip


def dump(unit: ir.Unit) -> str:
    """Return the text of a unit."""
    lines = [f"{unit.kind.name.lower()} program {unit.name}"]
    for spec, name in zip(unit.maps, unit.map_names, strict=True):
        lines.append(
            f"map {name}: {type(spec).__name__}({spec.key_type} -> {spec.value_type}, {spec.entries})"
        )
    for function in unit.functions:
        lines += ["", *_Text(unit, function).lines()]
    return "\n".join(lines) + "\n"


class _Text:
    """One function. Names that several variables share are numbered from the second on."""

    def __init__(self, unit: ir.Unit, function: ir.Function) -> None:
        self._function = function
        self._maps = dict(zip(unit.maps, unit.map_names, strict=True))
        self._names: dict[ir.Variable | ir.Storage, str] = {}
        self._used: dict[str, int] = {}

    def lines(self) -> Iterator[str]:
        function = self._function
        params = ", ".join(self._declare(param) for param in function.params)
        kind = "global " * function.alone + "subprogram " * function.subprogram
        yield f"{kind}def {function.name}({params}) -> {function.result}:"
        yield from self._block(function.body)

    def _block(self, body: Sequence[ir.Stmt]) -> Iterator[str]:
        for node in body:
            for line in self._statement(node):
                yield "    " + line
        if not body:
            yield "    pass"

    def _declare(self, variable: ir.Variable | ir.Storage) -> str:
        """Return a name, with its type at the first time."""
        known = variable in self._names
        return self._name(variable) if known else f"{self._name(variable)}: {variable.type}"

    def _name(self, variable: ir.Variable | ir.Storage) -> str:
        if variable not in self._names:
            name = variable.name or "t"
            count = self._used[name] = self._used.get(name, 0) + 1
            self._names[variable] = name if count == 1 else f"{name}.{count}"
        return self._names[variable]

    def _list(self, nodes: Sequence[ir.Expr]) -> str:
        return ", ".join(self._value(node) for node in nodes)

    def _place(self, pointer: ir.Expr) -> str:
        """Return what a pointer points to."""
        text = self._value(pointer)
        return text[1:] if text.startswith("&") else text if _is_struct(pointer) else f"*{text}"

    @singledispatchmethod
    def _statement(self, node: ir.Stmt) -> Iterator[str]:
        yield type(node).__name__.lower()

    @_statement.register
    def _(self, node: ir.Assign) -> Iterator[str]:
        value = self._value(node.value)
        yield f"{self._declare(node.var)} = {value}"

    @_statement.register
    def _(self, node: ir.Unpack) -> Iterator[str]:
        call = self._value(node.call)
        yield f"{', '.join(self._declare(variable) for variable in node.variables)} = {call}"

    @_statement.register
    def _(self, node: ir.Store) -> Iterator[str]:
        yield f"{self._place(node.pointer)} = {self._value(node.value)}"

    @_statement.register
    def _(self, node: ir.ContextStore) -> Iterator[str]:
        yield f"{self._value(node.context)}[{node.offset}] = {self._value(node.value)}"

    @_statement.register
    def _(self, node: ir.Copy) -> Iterator[str]:
        yield f"copy {self._place(node.target)} = {self._place(node.source)}"

    @_statement.register
    def _(self, node: ir.Zero) -> Iterator[str]:
        yield f"zero {self._declare(node.storage)}"

    @_statement.register
    def _(self, node: ir.Evaluate) -> Iterator[str]:
        yield self._value(node.value)

    @_statement.register
    def _(self, node: ir.Return) -> Iterator[str]:
        yield f"return {self._list(node.values)}".rstrip()

    @_statement.register
    def _(self, node: ir.If) -> Iterator[str]:
        yield f"if {self._value(node.condition)}:"
        yield from self._block(node.then)
        if node.otherwise:
            yield "else:"
            yield from self._block(node.otherwise)

    @_statement.register
    def _(self, node: ir.While) -> Iterator[str]:
        yield f"while {self._value(node.condition)}:"
        yield from self._block(node.body)
        if node.step:
            yield "step:"
            yield from self._block(node.step)

    @singledispatchmethod
    def _value(self, node: ir.Expr) -> str:
        raise TypeError(f"{type(node).__name__} has no text")

    @_value.register
    def _(self, node: ir.Const) -> str:
        return str(bool(node.value)) if isinstance(node.type, BoolType) else f"{node.value}:{node.type}"

    @_value.register
    def _(self, _node: ir.Null) -> str:
        return "None"

    @_value.register
    def _(self, node: ir.Var) -> str:
        return self._name(node.var)

    @_value.register
    def _(self, node: ir.AssignExpr) -> str:
        value = self._value(node.value)
        return f"({self._declare(node.var)} := {value})"

    @_value.register
    def _(self, node: ir.Sequence) -> str:
        lines = [line for statement in node.statements for line in self._statement(statement)]
        return f"({'; '.join([*lines, self._value(node.value)])})"

    @_value.register
    def _(self, node: ir.Unary) -> str:
        return f"{_SIGNS[node.op]}{self._value(node.operand)}"

    @_value.register
    def _(self, node: ir.Binary | ir.Compare) -> str:
        return f"({self._value(node.left)} {_SIGNS[node.op]} {self._value(node.right)})"

    @_value.register
    def _(self, node: ir.Logical) -> str:
        return f"({self._value(node.left)} {node.op} {self._value(node.right)})"

    @_value.register
    def _(self, node: ir.Select) -> str:
        condition, then = self._value(node.condition), self._value(node.then)
        return f"({then} if {condition} else {self._value(node.otherwise)})"

    @_value.register
    def _(self, node: ir.Convert) -> str:
        return f"{node.type}({self._value(node.operand)})"

    @_value.register
    def _(self, node: ir.FieldAddress) -> str:
        return f"&{self._place(node.base)}.{node.field}"

    @_value.register
    def _(self, node: ir.ElementAddress) -> str:
        return f"&{self._place(node.base)}[{self._value(node.index)}]"

    @_value.register
    def _(self, node: ir.StorageAddress) -> str:
        return self._name(node.storage)

    @_value.register
    def _(self, node: ir.GlobalAddress) -> str:
        return f"&{self._maps[node.map]}.value"

    @_value.register
    def _(self, node: ir.Load) -> str:
        return self._place(node.pointer)

    @_value.register
    def _(self, node: ir.ContextLoad) -> str:
        return f"{self._value(node.context)}[{node.offset}]:{node.type}"

    @_value.register
    def _(self, node: ir.PacketLength) -> str:
        return f"len({self._value(node.context)})"

    @_value.register
    def _(self, node: ir.PacketRead) -> str:
        return f"read({self._value(node.context)}, {pointee(node)}, {self._value(node.offset)})"

    @_value.register
    def _(self, node: ir.MapAddress) -> str:
        return self._maps[node.map]

    @_value.register
    def _(self, node: ir.FunctionAddress) -> str:
        return node.function.name

    @_value.register
    def _(self, node: ir.Call) -> str:
        return f"{node.function.name}({self._list(node.arguments)})"

    @_value.register
    def _(self, node: ir.HelperCall) -> str:
        return f"helper {node.name}({self._list(node.arguments)}) -> {node.type}"

    @_value.register
    def _(self, node: ir.KfuncCall) -> str:
        return f"kernel {node.name}({self._list(node.arguments)}) -> {node.type}"

    @_value.register
    def _(self, node: ir.RingReserve) -> str:
        return f"reserve({self._maps[node.map]}, {pointee(node)})"

    @_value.register
    def _(self, node: ir.Atomic) -> str:
        operands = [node.value] if node.expected is None else [node.expected, node.value]
        return f"atomic {node.op}({self._place(node.pointer)}, {self._list(operands)})"


def _is_struct(pointer: ir.Expr) -> bool:
    """Whether a reference goes by its own name: those to structs and arrays do."""
    kind = pointer.type.to if isinstance(pointer.type, ir.PointerType) else None
    return hasattr(kind, "fields") or hasattr(kind, "element")
