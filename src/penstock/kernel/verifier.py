"""Why the verifier refused a program, and at which Python line."""

from __future__ import annotations

import linecache
import re
from typing import TYPE_CHECKING, Final

from penstock.errors import VerifierError
from penstock.kernel.reasons import reason
from penstock.kernel.syscall import running_kernel

if TYPE_CHECKING:
    from penstock.compiler.spec import ProgramSpec, SourceLine

_INSTRUCTION: Final = re.compile(r"(\d+): \([0-9a-f]{2}\)")
_STATE: Final = re.compile(r"\d+: |from \d+ |;| R\d| frame|caller:|callee:|cur state|old state")
_TOTALS: Final = ("processed ", "verification time ", "stack depth ")


def explain(spec: ProgramSpec, log: str) -> VerifierError:
    """Return the error for a program that the verifier refused with this log.

    The log shows the instructions on the way to the error, with registers and lines of source, then the
    objection in a line or two, then totals.
    """
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(_TOTALS)]
    walk = [index for index, line in enumerate(lines) if _INSTRUCTION.match(line)]
    last = walk[-1] if walk else -1
    objection = [line for line in lines[last + 1 :] if not _STATE.match(line)]
    why, named = reason("\n".join(objection))
    if why.startswith("this kernel has no helper"):
        newer = [
            f"{name} (Linux {since[0]}.{since[1]})"
            for name, since in spec.helpers
            if since > running_kernel()
        ]
        why = f"this kernel has no {', no '.join(newer)}" if newer else why
    looked_at = _INSTRUCTION.match(lines[last]) if walk else None
    place = _place(spec, int(looked_at[1]) if named is None and looked_at else named)
    return VerifierError(
        why,
        file=place.file if place else f"program {spec.name}",
        line=place.line if place else 0,
        source=linecache.getline(place.file, place.line).strip() if place else "",
        excerpt=(*(line.strip() for line in lines[last : last + 1] if walk), *objection),
        omitted=len(lines) - len(objection) - bool(walk),
        log=log,
    )


def _place(spec: ProgramSpec, instruction: int | None) -> SourceLine | None:
    """Return the source of an instruction."""
    if instruction is None:
        return None
    before = [line for line in spec.lines if line.instruction <= instruction]
    return before[-1] if before else None
