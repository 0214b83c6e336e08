"""Errors of the later stages of compilation, at the place in the source that they come from."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.errors import CompileError

if TYPE_CHECKING:
    from penstock.compiler import ir

SourceOf = Callable[[str], str | None]
"""Gives the text of a source file by its name, where it is not on disk; else None."""


def compile_error(message: str, loc: ir.Loc, source_of: SourceOf | None = None) -> CompileError:
    """Return the error for `message` at `loc`, with its source line if that can be found."""
    text = source_of(loc.file) if source_of else None
    if text is None:
        line = linecache.getline(loc.file, loc.line)
    else:
        line = text.splitlines()[loc.line - 1] if loc.line <= text.count("\n") + 1 else ""
    return CompileError(message, file=loc.file, line=loc.line, column=loc.column, source=line.rstrip("\n"))
