"""The stages after the front end, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.compiler.backend import LibraryCallError, object_code
from penstock.compiler.codegen import emit
from penstock.compiler.failure import SourceOf, compile_error
from penstock.compiler.objectfile import program_spec

if TYPE_CHECKING:
    from penstock.compiler import ir
    from penstock.compiler.spec import ProgramSpec


def compile_unit(unit: ir.Unit, *, source_of: SourceOf | None = None) -> ProgramSpec:
    """Return the program that the kernel can load.

    `source_of(file)` gives the text of a source file that is not on disk, or None. Raises CompileError for
    what BPF cannot do: more than 5 arguments, more than 512 bytes of stack, products of more than 64 bits.
    """
    assembly = emit(unit, source_of)
    try:
        data = object_code(assembly.text)
    except LibraryCallError as error:
        raise compile_error(str(error), error.place or unit.functions[0].loc, source_of) from None
    return program_spec(assembly, data, source_of)
