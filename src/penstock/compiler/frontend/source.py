"""Finding a function's syntax tree, and pointing at places in it."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any

from penstock.compiler.ir import Loc
from penstock.errors import CompileError


@dataclass(frozen=True)
class Source:
    """One function as written."""

    function: FunctionType
    tree: ast.FunctionDef
    file: str

    def loc(self, node: ast.AST) -> Loc:
        """Where a node of this function stands."""
        return Loc(self.file, getattr(node, "lineno", self.tree.lineno), getattr(node, "col_offset", 0) + 1)

    def error(self, node: ast.AST, message: str) -> CompileError:
        """The error that says `message` at `node`."""
        return error_at(self.loc(node), message)


def error_at(loc: Loc, message: str) -> CompileError:
    """The error that says `message` at `loc`, with the source line if there is one."""
    line = linecache.getline(loc.file, loc.line).rstrip("\n")
    return CompileError(message, file=loc.file, line=loc.line, column=loc.column, source=line)


def source_of(function: Callable[..., Any]) -> Source:
    """Find the source of a Python function; CompileError where there is none (built-in, or typed at a prompt)."""
    if not isinstance(function, FunctionType):
        raise CompileError(f"{function!r} is not a Python function", file="<unknown>", line=0, column=0)
    code = function.__code__
    here = Loc(code.co_filename, code.co_firstlineno, 1)
    tree = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    if tree is None:
        raise error_at(here, f"no source of {code.co_name}: programs must be in a file, and defined with def")
    return Source(function, tree, code.co_filename)


@lru_cache(maxsize=64)
def _parsed(text: str, file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    found: dict[tuple[str, int], ast.FunctionDef] = {}
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name, first] = node
    return found


def _functions(file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    linecache.checkcache(file)
    return _parsed("".join(linecache.getlines(file)), file)
