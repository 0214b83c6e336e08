"""Penstock programs Linux's packet path from Python.

>>> import penstock
>>> with penstock.load(program) as loaded:
...     loaded.attach_xdp(program, "eth0")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import CompileError, KernelError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.kernel import Loaded
    from penstock.kernel.map import Map
    from penstock.lang import MapSpec, Program

__version__ = "0.1.0"

__all__ = ["CompileError", "KernelError", "PenstockError", "__version__", "load"]


def load(*programs: Program, maps: Mapping[MapSpec, Map] | None = None) -> Loaded:
    """Compile programs, create the maps that they use, and load them into the kernel.

    The result is a context manager that owns everything: `loaded[program]`, `loaded[map]`,
    `loaded.attach_xdp(…)`. Programs that use the same map object share the map; `maps`
    gives maps that exist already.

    Raises CompileError (outside the language), VerifierError (refused by the verifier) and KernelError (no
    permission, kernel too old).
    """
    from penstock.compiler import compile_program  # noqa: PLC0415  # LLVM only where it is needed
    from penstock.kernel import load as load_specs  # noqa: PLC0415  # the same

    specs = {program: compile_program(program) for program in programs}
    return load_specs(*specs.values(), maps=maps, keys=specs)
