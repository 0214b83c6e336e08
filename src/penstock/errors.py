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

    `reason` is what it objects to; `file`, `line` and `source` say where (line 0 if it names no instruction);
    `log` is all that it said.
    """

    def __init__(self, reason: str, *, file: str, line: int, source: str, log: str) -> None:
        self.reason, self.file, self.line, self.source, self.log = reason, file, line, source, log
        super().__init__(reason, file, line)

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"
        if self.source.strip():
            text += f"\n    {self.source.strip()}"
        lines = [line for line in self.log.splitlines() if line.strip() and not line.startswith(_LOG_TOTALS)]
        told = lines[-_TOLD_LINES:]
        omitted = f" ({len(lines) - len(told)} lines omitted)" if len(lines) > len(told) else ""
        return "\n".join([f"{text}\n  verifier{omitted}:", *(f"    {line.strip()}" for line in told)])


_TOLD_LINES = 3
_LOG_TOTALS = ("processed ", "verification time ", "stack depth ")
