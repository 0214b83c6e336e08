"""What can go wrong, as one family: `PenstockError` is caught at the command line and shown as one line."""

from __future__ import annotations


class PenstockError(Exception):
    """Base of all errors meant for users. The message says what was tried, on what, and what to do."""


class CompileError(PenstockError):
    """Source outside the language. Lines and columns count from 1; `source` is the line itself, or empty."""

    def __init__(self, message: str, *, file: str, line: int, column: int, source: str = "") -> None:
        self.message, self.file, self.line, self.column, self.source = message, file, line, column, source
        super().__init__(message, file, line, column)

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}"
        if self.source.strip():
            text += f"\n    {self.source.strip()}\n    {' ' * (self.column - 1 - _indent(self.source))}^"
        return text


def _indent(source: str) -> int:
    return len(source) - len(source.lstrip())


class KernelError(PenstockError):
    """The kernel refused something, or lacks it."""
