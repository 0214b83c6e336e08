"""What the verifier's log means: the reason in words, and the Python line."""

from __future__ import annotations

import linecache
import re
from typing import TYPE_CHECKING, Final

from penstock.errors import VerifierError

if TYPE_CHECKING:
    from penstock.compiler.spec import ProgramSpec, SourceLine

_INSTRUCTION: Final = re.compile(r"^(\d+): \(", re.MULTILINE)
_TOTALS: Final = ("processed ", "verification time ", "stack depth ")


def explain(spec: ProgramSpec, log: str) -> VerifierError:
    """Return the error for a program that the verifier refused with this log."""
    messages = [line for line in log.splitlines() if line.strip() and not line.startswith(_TOTALS)]
    reason = messages[-1] if messages else "no reason given"
    place = _place(spec, log)
    if place is None:
        return VerifierError(reason, file=f"program {spec.name}", line=0, source="", log=log)
    source = linecache.getline(place.file, place.line)
    return VerifierError(reason, file=place.file, line=place.line, source=source, log=log)


def _place(spec: ProgramSpec, log: str) -> SourceLine | None:
    """Return the source of the last instruction that the log looks at."""
    looked_at = _INSTRUCTION.findall(log)
    if not looked_at:
        return None
    before = [line for line in spec.lines if line.instruction <= int(looked_at[-1])]
    return before[-1] if before else None
