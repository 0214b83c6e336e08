"""From a Python function to what the kernel loads, one stage after the other.

    frontend   source -> typed IR    (ir.Unit)
    codegen    typed IR -> LLVM IR
    backend    LLVM IR -> object code
    objectfile object code -> ProgramSpec

The front end runs every time; what follows it comes from the cache if the same IR was compiled before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.compiler.frontend import lower

if TYPE_CHECKING:
    from penstock.compiler.spec import ProgramSpec
    from penstock.lang import Program

__all__ = ["compile_program"]


def compile_program(program: Program) -> ProgramSpec:
    """Return what the kernel needs to load `program`; CompileError for what is outside the language."""
    from penstock.compiler.build import compile_unit  # noqa: PLC0415  # LLVM loads only when it is needed

    return compile_unit(lower(program))
