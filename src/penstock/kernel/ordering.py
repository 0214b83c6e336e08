"""The order in which accesses to memory shared with the kernel happen."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_IN_ORDER: Final = os.uname().machine in ("x86_64", "s390x", "sparc64")
"""Processors that keep loads before later loads and stores: there, no instruction is needed for a reader."""

_FENCE: Final = "define void @fence() {\n  fence seq_cst\n  ret void\n}"


def fence() -> None:
    """Have all loads and stores before it happen before all after it."""
    if not _IN_ORDER:
        compiled_fence()()


@functools.cache
def compiled_fence() -> Callable[[], None]:
    """Return a full fence as a native function; no C library exports one."""
    from llvmlite import binding  # noqa: PLC0415 (slow to import, and needed on few machines)

    llvm: Any = binding
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_FENCE), machine)
    engine.finalize_object()
    function: Any = ctypes.CFUNCTYPE(None)(engine.get_function_address("fence"))
    function.engine = engine  # it owns the code
    return function
