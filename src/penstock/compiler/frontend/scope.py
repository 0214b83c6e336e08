"""The state of lowering one function, and the registries of who lowers which syntax."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.flow import Env, merge_pointers
from penstock.compiler.frontend.source import Source
from penstock.compiler.frontend.values import Value
from penstock.errors import CompileError
from penstock.lang.maps import MapSpec, RingBuf
from penstock.lang.program import ProgramKind
from penstock.lang.types import Type


@dataclass
class UnitBuilder:
    """What all functions of one program share."""

    unit: ir.Unit
    instances: dict[tuple[Any, ...], ir.Function] = field(default_factory=dict)
    in_progress: list[Any] = field(default_factory=list)

    @property
    def kind(self) -> ProgramKind:
        return self.unit.kind

    def use_map(self, spec: MapSpec, name: str) -> None:
        """Enter a map into the unit, named after its first use unless it has a name."""
        if any(spec is known for known in self.unit.maps):
            return
        base = (spec.name or name or "map")[:15]
        unique, number = base, 2
        while unique in self.unit.map_names:
            unique, number = f"{base[: 15 - len(str(number))]}{number}", number + 1
        self.unit.maps.append(spec)
        self.unit.map_names.append(unique)
        if isinstance(spec, RingBuf):
            self.use_map(spec.losses, f"{unique[:10]}_lost")

    def unique_name(self, name: str) -> str:
        """A name that no function of the unit has yet."""
        taken = {function.name for function in self.unit.functions}
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        return unique


@dataclass
class Loop:
    """An enclosing loop: what is known wherever it is left or continued, and how many locks were held outside."""

    locks: int
    breaks: list[Env | None] = field(default_factory=list)
    continues: list[Env | None] = field(default_factory=list)


@dataclass
class Scope:
    """One function being lowered."""

    builder: UnitBuilder
    source: Source
    function: ir.Function
    names: Mapping[str, Any]
    """Static names: closure over globals."""
    result_any: bool = False
    """Annotated `-> int` where the kernel fixes the width: any integer may be returned."""
    variables: dict[str, ir.Variable] = field(default_factory=dict)
    declared: dict[str, Type] = field(default_factory=dict)
    local_names: frozenset[str] = frozenset()
    env: Env | None = field(default_factory=dict)
    out: list[ir.Stmt] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    locks: list[ir.Expr] = field(default_factory=list)
    storages: dict[tuple[int, int, str], ir.Storage] = field(default_factory=dict)

    def error(self, node: ast.AST, message: str) -> CompileError:
        """The error that says `message` at `node`."""
        return self.source.error(node, message)

    def loc(self, node: ast.AST) -> ir.Loc:
        """Where `node` stands."""
        return self.source.loc(node)

    def emit(self, statement: ir.Stmt) -> None:
        """Add a statement to the current block."""
        self.out.append(statement)

    @contextmanager
    def block(self, env: Env | None) -> Iterator[list[ir.Stmt]]:
        """Collect statements into a block of their own, starting from what `env` knows."""
        outer, self.out, self.env = self.out, [], None if env is None else dict(env)
        try:
            yield self.out
        finally:
            self.out = outer

    def temporary(self, kind: Type) -> ir.Variable:
        """A hidden variable."""
        return ir.Variable("", kind)

    def storage(self, node: ast.AST, kind: Type, name: str) -> ir.Storage:
        """The place on the stack that belongs to this node (one, however often it is lowered)."""
        loc = self.loc(node)
        return self.storages.setdefault((loc.line, loc.column, name), ir.Storage(name, kind))

    def assign(self, node: ast.AST, name: str, value: ir.Expr) -> ir.Variable:
        """Check an assignment against the name's type, remember what is known now, and return the variable."""
        kind = value.type
        assert kind is not None
        var = self.variables.get(name)
        if var is None:
            var = self.variables[name] = ir.Variable(name, kind)
        elif isinstance(var.type, ir.PointerType) and isinstance(kind, ir.PointerType):
            merged = merge_pointers(var.type, kind)
            if merged is None:
                raise self.error(node, f"{name} refers to {var.type.name} elsewhere, here to {kind.name}")
            var.type = merged
        elif var.type != kind:
            raise self.error(
                node, f"{name} is {var.type.name} since its first assignment, this is {kind.name}: convert it"
            )
        if self.env is not None:
            self.env[name] = kind
        return var


Handler = Callable[[Scope, Any], Any]
EXPRESSIONS: dict[type[ast.AST], Handler] = {}
STATEMENTS: dict[type[ast.AST], Handler] = {}

NOT_IN_LANGUAGE = {
    ast.Lambda: "lambda", ast.Dict: "a dict", ast.Set: "a set", ast.List: "a list: use zeros(type, length)",
    ast.ListComp: "a list comprehension: use a loop", ast.SetComp: "a set comprehension",
    ast.DictComp: "a dict comprehension", ast.GeneratorExp: "a generator expression: use a loop",
    ast.Await: "await", ast.Yield: "yield", ast.YieldFrom: "yield from", ast.JoinedStr: "an f-string",
    ast.Starred: "* unpacking", ast.Slice: "a slice", ast.Tuple: "a tuple here", ast.FunctionDef: "a nested function",
    ast.AsyncFunctionDef: "async def", ast.ClassDef: "a class inside a program", ast.Delete: "del",
    ast.AsyncFor: "async for", ast.AsyncWith: "async with", ast.Match: "match: use if and elif",
    ast.Raise: "raise", ast.Try: "try", ast.TryStar: "try", ast.Assert: "assert: use if", ast.Import: "import here",
    ast.ImportFrom: "import here", ast.Global: "global: use a Global map", ast.Nonlocal: "nonlocal",
}  # fmt: skip


def lowers(registry: dict[type[ast.AST], Handler], *kinds: type[ast.AST]) -> Callable[[Handler], Handler]:
    """Register a function as the one that lowers `kinds` of syntax."""

    def register(handler: Handler) -> Handler:
        registry.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def expression(scope: Scope, node: ast.expr) -> Value:
    """Lower an expression to a value."""
    return _dispatch(EXPRESSIONS, scope, node)


def statement(scope: Scope, node: ast.stmt) -> None:
    """Lower a statement into the current block."""
    _dispatch(STATEMENTS, scope, node)


def body(scope: Scope, nodes: list[ast.stmt]) -> None:
    """Lower statements up to the first that is never reached."""
    for node in nodes:
        if scope.env is None:
            return
        statement(scope, node)


def _dispatch(registry: dict[type[ast.AST], Handler], scope: Scope, node: ast.AST) -> Any:
    handler = registry.get(type(node))
    if handler is None:
        what = NOT_IN_LANGUAGE.get(type(node), type(node).__name__)
        raise scope.error(node, f"not in the language: {what}")
    return handler(scope, node)
