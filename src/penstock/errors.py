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


class VerifierError(KernelError):
    """The kernel's verifier refused a program.

    `reason` says what for; `file`, `line` and `source` where (line 0 if it names no place). `excerpt` is what
    the verifier itself said at last, `log` all that it said, and `omitted` counts the lines in between.
    """

    def __init__(
        self,
        reason: str,
        *,
        file: str,
        line: int,
        source: str,
        excerpt: tuple[str, ...],
        omitted: int,
        log: str,
    ) -> None:
        self.reason, self.file, self.line, self.source = reason, file, line, source
        self.excerpt, self.omitted, self.log = excerpt, omitted, log
        super().__init__(reason, file, line)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        source = [f"    {self.source}"] if self.source else []
        omitted = f" ({self.omitted} lines omitted)" if self.omitted else ""
        said = [f"  the verifier said{omitted}:", *(f"    {line}" for line in self.excerpt)]
        return "\n".join([f"{place}: {self.reason}", *source, *said])
