"""Programs that count the packets they see and let them pass."""

from penstock.compiler.spec import ProgramSpec
from penstock.lang import TC_UNSPEC, XDP_PASS, Global, u64
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import DW, R0, R1, R2, MapAddress, atomic_add, exit_, mov, program


def counting(
    kind: ProgramKind, name: str = "counting", result: int | None = None
) -> tuple[ProgramSpec, Global]:
    """Return a program, and the number of packets it saw."""
    seen: Global = Global(u64, name="seen")
    passing = XDP_PASS if kind is ProgramKind.XDP else TC_UNSPEC
    spec = program(
        MapAddress(R1, seen, value=True),
        mov(R2, 1),
        atomic_add(DW, R1, 0, R2),
        mov(R0, passing if result is None else result),
        exit_(),
        kind=kind,
        name=name,
    )
    return spec, seen
