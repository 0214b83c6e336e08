"""The state of lowering one function, and the registries of who lowers which syntax."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.flow import Env, Known, merge_pointers
from penstock.compiler.frontend.source import Source, source_of
from penstock.compiler.frontend.values import Value
from penstock.errors import CompileError
from penstock.lang.maps import MapSpec, RingBuf
from penstock.lang.program import ProgramKind
from penstock.lang.types import Type

NAME_LENGTH = 15  # BPF_OBJ_NAME_LEN less the final zero


@dataclass
class UnitBuilder:
    """What all functions of one program share."""

    unit: ir.Unit
    instances: dict[tuple[Any, ...], ir.Function] = field(default_factory=dict[tuple[Any, ...], ir.Function])
    in_progress: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    _sources: dict[FunctionType, Source] = field(default_factory=dict[FunctionType, Source])

    @property
    def kind(self) -> ProgramKind:
        """The kind of the program."""
        return self.unit.kind

    def source(self, function: FunctionType) -> Source:
        """The source of a function, found once."""
        if function not in self._sources:
            self._sources[function] = source_of(function)
        return self._sources[function]

    def use_map(self, spec: MapSpec, name: str) -> None:
        """Enter a map into the unit, named after its first use unless it has a name."""
        if any(spec is known for known in self.unit.maps):
            return
        base = re.sub(r"\W", "_", spec.name or name, flags=re.ASCII)[:NAME_LENGTH]
        unique, number = base, 2
        while unique in self.unit.map_names:
            unique, number = f"{base[: NAME_LENGTH - len(str(number))]}{number}", number + 1
        self.unit.maps.append(spec)
        self.unit.map_names.append(unique)
        if isinstance(spec, RingBuf):
            self.use_map(spec.losses, f"{unique[:10]}_lost")

    def unique_name(self, name: str) -> str:
        """A name that no function of the unit has yet."""
        taken = {function.name for function in self.unit.functions}
        name = re.sub(r"\W", "_", name, flags=re.ASCII)
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        return unique


@dataclass
class Loop:
    """An enclosing loop: what is known where it is left or continued, and how many locks are held outside."""

    locks: int
    breaks: list[Env | None] = field(default_factory=list[Env | None])
    continues: list[Env | None] = field(default_factory=list[Env | None])


@dataclass
class Scope:
    """One function being lowered.

    `variables` are its names that hold a value, `declared` the types that names were given (parameters too),
    `env` what is known at the current point, `out` the statements of the current block. Expressions emit
    nothing: what they need done first is a `Sequence` in them, so that it is done in its turn, or not at all.
    """

    builder: UnitBuilder
    source: Source
    function: ir.Function
    result_any: bool = False
    """Annotated `-> int` where the kernel fixes the width: any integer may be returned."""
    variables: dict[str, ir.Variable] = field(default_factory=dict[str, ir.Variable])
    declared: dict[str, Type] = field(default_factory=dict[str, Type])
    env: Env | None = field(default_factory=dict[str, Known])
    out: list[ir.Stmt] = field(default_factory=list[ir.Stmt])
    loops: list[Loop] = field(default_factory=list[Loop])
    locks: list[ir.Expr] = field(default_factory=list[ir.Expr])
    storages: dict[tuple[ast.AST, str], ir.Storage] = field(
        default_factory=dict[tuple[ast.AST, str], ir.Storage]
    )

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
    def block(self, env: Env | None) -> Generator[list[ir.Stmt]]:
        """Collect statements into a block of their own, starting from what `env` knows."""
        outer, self.out, self.env = self.out, [], env
        try:
            yield self.out
        finally:
            self.out = outer

    def know(self, name: str, known: Known) -> None:
        """Note what is known of a name from here on."""
        assert self.env is not None
        self.env = {**self.env, name: known}

    def storage(self, node: ast.AST, kind: Type, name: str) -> ir.Storage:
        """The place on the stack that belongs to this node (one, however often it is lowered)."""
        return self.storages.setdefault((node, name), ir.Storage(name, kind))

    def assign(self, node: ast.AST, name: str, kind: Type) -> ir.Variable:
        """Check an assignment against the name's type, note what is known now, and return the variable."""
        var = self.variables.setdefault(name, ir.Variable(name, kind))
        if isinstance(var.type, ir.PointerType) and isinstance(kind, ir.PointerType):
            merged = merge_pointers(var.type, kind)
        else:
            merged = kind if var.type == kind else None
        if merged is None:
            raise self.error(node, f"{name} is {var.type} since its first assignment, this is {kind}")
        var.type = merged
        self.know(name, kind)
        return var


def hold(name: str, value: ir.Expr) -> tuple[ir.Assign, ir.Var]:
    """A hidden variable: the statement that gives it `value`, and the variable."""
    assert value.type is not None
    var = ir.Variable(name, value.type)
    return ir.Assign(var, value, loc=value.loc), ir.Var(var, loc=value.loc, type=value.type)


Handler = Callable[[Scope, Any], Any]
EXPRESSIONS: dict[type[ast.AST], Handler] = {}
STATEMENTS: dict[type[ast.AST], Handler] = {}


def lowers(registry: dict[type[ast.AST], Handler], *kinds: type[ast.AST]) -> Callable[[Handler], Handler]:
    """Register the function that lowers these kinds of syntax."""

    def register(handler: Handler) -> Handler:
        registry.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def expression(scope: Scope, node: ast.expr) -> Value:
    """Lower an expression."""
    return EXPRESSIONS[type(node)](scope, node)


def body(scope: Scope, nodes: list[ast.stmt]) -> None:
    """Lower statements, up to the first that is never reached because of what is known while compiling."""
    for node in nodes:
        if scope.env is None:
            return
        STATEMENTS[type(node)](scope, node)
