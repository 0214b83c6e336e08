"""Finding a function's syntax tree and what its names stand for, and pointing at places in it."""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Iterator
from functools import cached_property
from types import CellType, FunctionType
from typing import Any, Final

from penstock.compiler.frontend.syntax import Fault, first_fault
from penstock.compiler.ir import Loc
from penstock.errors import CompileError

MISSING: Final = object()
"""What is looked up and not there."""


class Definition:
    """The syntax of one function, and what can be said of it without knowing what its names stand for."""

    def __init__(self, tree: ast.FunctionDef) -> None:
        self.tree = tree

    @cached_property
    def arguments(self) -> dict[str, ast.arg]:
        """The parameters by name."""
        return {arg.arg: arg for arg in ast.walk(self.tree.args) if isinstance(arg, ast.arg)}

    @cached_property
    def fault(self) -> Fault | None:
        """The first thing outside the language."""
        return first_fault(self.tree)


class Source:
    """A function as written, and the names that it sees from outside as they are now."""

    def __init__(self, function: FunctionType, definition: Definition) -> None:
        code = function.__code__
        self.function = function
        self.definition = definition
        self.file = code.co_filename
        self.local_names = frozenset(code.co_varnames + code.co_cellvars)
        """Every name that the function assigns anywhere: local everywhere, as in Python."""
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        self._closure = {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
        self._hints: dict[ast.expr | str, Any] = {}

    @property
    def tree(self) -> ast.FunctionDef:
        """The function's syntax."""
        return self.definition.tree

    @property
    def name(self) -> str:
        """The function's name."""
        return self.tree.name

    def find(self, name: str) -> Any:
        """What a name that is not local stands for: in the closure, the module, or Python; or MISSING."""
        for names in (self._closure, self.function.__globals__, vars(builtins)):
            if name in names:
                return names[name]
        return MISSING

    def hint(self, name: str) -> Any:
        """What a parameter, or `return`, is annotated with; CompileError if with nothing."""
        node = self.tree.returns if name == "return" else self.definition.arguments.get(name)
        try:
            hint = self.function.__annotations__.get(name, MISSING)
        except NameError as error:  # from Python 3.14 on they are evaluated when they are asked for
            raise self.error(node or self.tree, f"{error} here") from None
        if hint is MISSING:
            what = "what it returns (None if nothing)" if name == "return" else f"the type of {name}"
            raise self.error(node or self.tree, f"{self.name} must say {what}")
        return self._evaluate(name, hint, node or self.tree) if isinstance(hint, str) else hint

    def annotation(self, node: ast.expr) -> Any:
        """What an annotation inside the function names."""
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
        return self._evaluate(node, text or ast.unparse(node), node)

    def _evaluate(self, key: ast.expr | str, text: str, node: ast.AST) -> Any:
        if key not in self._hints:
            try:
                hint = eval(text, self.function.__globals__, self._closure)  # noqa: S307  # as Python does
                self._hints[key] = hint
            except Exception as error:  # noqa: BLE001  # whatever evaluating it may raise
                raise self.error(node, f"{text} is no type that is known here: {error}") from None
        return self._hints[key]

    def loc(self, node: ast.AST) -> Loc:
        """Where a node of this function stands."""
        return Loc(self.file, getattr(node, "lineno", self.tree.lineno), getattr(node, "col_offset", 0) + 1)

    def error(self, node: ast.AST, message: str) -> CompileError:
        """The error that says `message` at `node`."""
        return error_at(self.loc(node), message)


def error_at(loc: Loc, message: str) -> CompileError:
    """The error that says `message` at `loc`, with the source line if there is one."""
    line = linecache.getline(loc.file, loc.line).rstrip("\n")
    before = line.encode()[: loc.column - 1].decode(errors="replace")  # syntax trees count bytes
    return CompileError(message, file=loc.file, line=loc.line, column=len(before) + 1, source=line)


def source_of(function: FunctionType) -> Source:
    """Find the source of a function; CompileError where there is none, or it is outside the language."""
    code = function.__code__
    written = _definitions(code.co_filename, function.__globals__)
    definition = written.get((code.co_name, code.co_firstlineno))
    if definition is None:
        raise error_at(
            Loc(code.co_filename, code.co_firstlineno, 1),
            f"{code.co_name} has no source: functions of programs are defined with def, in a file",
        )
    source = Source(function, definition)
    if definition.fault:
        raise source.error(*definition.fault)
    return source


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty cell raises
    except ValueError:
        return False
    return True


_Definitions = dict[tuple[str, int], Definition]
_parsed: dict[str, tuple[list[str], _Definitions]] = {}
"""By file: the lines that were parsed, and the functions in them by name and first line, decorator or def."""


def _definitions(file: str, module: dict[str, Any]) -> _Definitions:
    lines = linecache.getlines(file, module)
    known = _parsed.get(file)
    if known is None or known[0] is not lines:
        known = _parsed[file] = lines, _parse("".join(lines), file)
    return known[1]


def _parse(text: str, file: str) -> _Definitions:
    try:
        tree = ast.parse(text, file)
    except SyntaxError as error:
        place = Loc(file, error.lineno or 1, error.offset or 1)
        raise error_at(place, f"{error.msg}: the file has changed since it was imported") from None
    return {
        (f.name, min([f.lineno, *(d.lineno for d in f.decorator_list)])): Definition(f)
        for f in _functions(tree)
    }


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Every function in a tree; expressions, most of it, have none."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(tree, part, ()):
            if isinstance(statement, ast.FunctionDef):
                yield statement
            yield from _functions(statement)
