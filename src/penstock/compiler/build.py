"""The stages after the front end, one after the other."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import __version__
from penstock.compiler import target
from penstock.compiler.cache import Cache, folder, key_of
from penstock.compiler.codegen import emit
from penstock.compiler.objectfile import program_spec

if TYPE_CHECKING:
    from penstock.compiler import ir
    from penstock.compiler.failure import SourceOf
    from penstock.compiler.spec import ProgramSpec


def compile_unit(
    unit: ir.Unit, *, source_of: SourceOf | None = None, store: Cache | None = None
) -> ProgramSpec:
    """Return the program that the kernel can load.

    `source_of(file)` gives the text of a source file that is not on disk, or None. Object code comes from
    `store` (default: the user's cache) if the same was compiled before. Raises CompileError for what BPF
    cannot do: more than 5 arguments, more than 512 bytes of stack, products of more than 64 bits.
    """
    assembly = emit(unit, source_of)
    store = store or Cache(folder())
    key = key_of(assembly.text, *_surroundings())
    data = store.get(key)
    if data is None:
        from penstock.compiler.backend import object_code  # noqa: PLC0415  # LLVM takes long to load

        data = object_code(assembly, source_of)
        store.put(key, data)
    return program_spec(assembly, data, source_of)


@cache
def _surroundings() -> tuple[str, ...]:
    """Return what object code depends on besides the LLVM IR, which has all of the program and its source."""
    found = importlib.util.find_spec("llvmlite")
    library = Path(found.origin or "").parent / "binding" if found else Path()
    tools = [*library.glob("libllvmlite*"), Path(__file__).with_name("backend.py")]
    stamps = (f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in tools)
    return __version__, target.TRIPLE, target.CPU, *target.OPTIONS, *stamps
