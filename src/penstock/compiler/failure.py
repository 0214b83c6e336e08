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


def source_text(file: str, source_of: SourceOf | None = None) -> str:
    """Return the text of a source file, empty if there is none."""
    text = source_of(file) if source_of else None
    return "".join(linecache.getlines(file)) if text is None else text


def compile_error(message: str, loc: ir.Loc, source_of: SourceOf | None = None) -> CompileError:
    """Return the error for `message` at `loc`, with its source line if that can be found."""
    lines = source_text(loc.file, source_of).splitlines()
    line = lines[loc.line - 1] if loc.line <= len(lines) else ""
    return CompileError(message, file=loc.file, line=loc.line, column=loc.column, source=line)
