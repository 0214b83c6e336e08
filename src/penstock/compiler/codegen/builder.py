"""Writes the LLVM IR of one function, instruction by instruction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.compiler import ir
from penstock.compiler.codegen.alignment import Alignment, storage_alignment
from penstock.compiler.failure import compile_error
from penstock.compiler.target import MAX_ARGUMENTS
from penstock.errors import CompileError
from penstock.lang.types import BoolType, IntType, Type

if TYPE_CHECKING:
    from penstock.compiler.codegen.module import Module

Emitter = TypeVar("Emitter", bound=Callable[..., Any])

_expressions: dict[type[ir.Expr], Callable[[Builder, Any], str]] = {}
_statements: dict[type[ir.Stmt], Callable[[Builder, Any], None]] = {}


def expression(*nodes: type[ir.Expr]) -> Callable[[Emitter], Emitter]:
    """Register the function that emits these expressions and returns the operand that holds the value."""

    def register(emitter: Emitter) -> Emitter:
        _expressions.update(dict.fromkeys(nodes, emitter))
        return emitter

    return register


def statement(*nodes: type[ir.Stmt]) -> Callable[[Emitter], Emitter]:
    """Register the function that emits these statements."""

    def register(emitter: Emitter) -> Emitter:
        _statements.update(dict.fromkeys(nodes, emitter))
        return emitter

    return register


def llvm_type(kind: Type | None) -> str:
    """Return the LLVM type of a value in a register."""
    if isinstance(kind, IntType):
        return f"i{kind.bits}"
    if isinstance(kind, BoolType):
        return "i1"
    if isinstance(kind, ir.TupleType):
        return "{" + ", ".join(llvm_type(item) for item in kind.items) + "}"
    return "void" if kind is None else "ptr"


@dataclass
class Loop:
    """Where `continue` and `break` go."""

    step: str
    end: str


class Builder:
    """The function being written. `let` and `do` append instructions with the current source position."""

    def __init__(self, module: Module, function: ir.Function) -> None:
        self.module = module
        self.function = function
        self.alignment = Alignment()
        self.loops: list[Loop] = []
        self.scratch = ir.Storage("scratch", IntType("u64", 64))
        self.block = "entry"
        self.ended = False
        self._scope = module.debug.subprogram(function, entry=function is module.entry)
        self._position = module.debug.position(self._scope, function.loc)
        self._slots: dict[ir.Variable | ir.Storage, str] = {}
        self._allocas: list[str] = []
        self._lines: list[str] = []
        self._count = 0

    def text(self) -> str:
        """Return the whole function."""
        return f"define {self._head()} {{\nentry:\n{''.join(self._allocas)}{''.join(self._lines)}}}\n"

    def body(self) -> None:
        """Write the parameters' slots and the statements."""
        if self.function.subprogram:
            self._check_subprogram()
        for n, param in enumerate(self.function.params):
            self.do(f"store {llvm_type(param.type)} %arg.{n}, ptr {self.slot(param)}")
        self.run(self.function.body)
        if not self.ended:
            self.end("ret void" if self.function.result is None else "unreachable")

    def value(self, node: ir.Expr) -> str:
        """Write an expression; return the operand that holds its value."""
        outer, self._position = self._position, self.module.debug.position(self._scope, node.loc)
        operand = _expressions[type(node)](self, node)
        self._position = outer
        return operand

    def run(self, body: list[ir.Stmt]) -> None:
        """Write statements, up to the first that leaves the block."""
        for node in body:
            if self.ended:
                return
            self._position = self.module.debug.position(self._scope, node.loc)
            _statements[type(node)](self, node)

    def let(self, instruction: str) -> str:
        """Append an instruction that yields a value."""
        self._count += 1
        name = f"%r{self._count}"
        self._lines.append(f"  {name} = {instruction}{self._position}\n")
        return name

    def do(self, instruction: str) -> None:
        """Append an instruction that yields nothing."""
        self._lines.append(f"  {instruction}{self._position}\n")

    def end(self, terminator: str) -> None:
        """Append the instruction that leaves the block."""
        self.do(terminator)
        self.ended = True

    def label(self, hint: str) -> str:
        """Return a fresh label, to be placed with `place`."""
        self._count += 1
        return f"{hint}{self._count}"

    def place(self, label: str) -> None:
        """Begin the block `label`; what was not ended falls into it."""
        if not self.ended:
            self.jump(label)
        self._lines.append(f"{label}:\n")
        self.block, self.ended = label, False

    def jump(self, label: str) -> None:
        """End the block by a jump."""
        self.end(f"br label %{label}")

    def branch(self, condition: str, then: str, otherwise: str) -> None:
        """End the block by a branch on an i1."""
        self.end(f"br i1 {condition}, label %{then}, label %{otherwise}")

    def phi(self, kind: str, *values: tuple[str, str]) -> str:
        """Join (operand, label) pairs."""
        return self.let(f"phi {kind} " + ", ".join(f"[ {value}, %{label} ]" for value, label in values))

    def slot(self, name: ir.Variable | ir.Storage) -> str:
        """Return the stack slot of a variable or storage, made when first asked for."""
        if name not in self._slots:
            register = f"%{_word(name.name)}.{len(self._slots)}"
            if isinstance(name, ir.Storage):
                kind, align = f"[{name.type.size} x i8]", storage_alignment(name)
            else:
                kind, align = llvm_type(name.type), name.type.align
            self._allocas.append(f"  {register} = alloca {kind}, align {align}\n")
            self._slots[name] = register
        return self._slots[name]

    def error(self, message: str, loc: ir.Loc) -> CompileError:
        """Return the error to raise for what BPF cannot do."""
        return compile_error(message, loc, self.module.source_of)

    def _head(self) -> str:
        """A function that is verified alone is weak: LLVM leaves out no argument that it sees is not used."""
        function = self.function
        linkage = "" if function is self.module.entry else "weak " if function.alone else "internal "
        params = ", ".join(self._parameter(n, p) for n, p in enumerate(function.params))
        signature = f"{result_type(function)} {self.module.symbol(function)}({params})"
        return f"{linkage}{signature} {'#1' if self._is_kept() else '#0'} !dbg {self._scope}"

    def _parameter(self, number: int, param: ir.Variable) -> str:
        """Nothing else points to the context, so other stores leave what was read from it valid."""
        alone = "noalias " if isinstance(param.type, ir.ContextType) and self._is_kept() else ""
        return f"{parameter_type(self.function, param.type)}{alone}%arg.{number}"

    def _is_kept(self) -> bool:
        return self.function.subprogram or self.function is self.module.entry

    def _check_subprogram(self) -> None:
        function = self.function
        if (count := len(function.params)) > MAX_ARGUMENTS:
            message = f"subprogram {function.name} has {count} parameters: BPF passes {MAX_ARGUMENTS}"
            raise self.error(message, function.loc)
        if isinstance(function.result, ir.TupleType):
            raise self.error(
                f"subprogram {function.name} returns a tuple: BPF returns one value", function.loc
            )


def parameter_type(function: ir.Function, kind: Type | None) -> str:
    """Return the LLVM type of a parameter, and how a subprogram's is extended to a register."""
    return f"{llvm_type(kind)} {_extension(function, kind)}"


def result_type(function: ir.Function) -> str:
    """Return the LLVM type of the result, and how a subprogram's is extended to a register."""
    return _extension(function, function.result) + llvm_type(function.result)


def _extension(function: ir.Function, kind: Type | None) -> str:
    narrow = isinstance(kind, BoolType) or (isinstance(kind, IntType) and kind.bits < 32)
    if not (function.subprogram and narrow):
        return ""
    return "signext " if isinstance(kind, IntType) and kind.signed else "zeroext "


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)
