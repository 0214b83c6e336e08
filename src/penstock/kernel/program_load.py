"""From a program's spec to a verified program: the way through BPF_PROG_LOAD."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import struct
import sys
from typing import TYPE_CHECKING, Final

from penstock.compiler.spec import RelocationKind
from penstock.errors import KernelError
from penstock.kernel import memlock
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import ProgLoad
from penstock.kernel.btf import kernel_functions, load_btf
from penstock.kernel.capabilities import Capability, missing
from penstock.kernel.handle import Handle, object_name
from penstock.kernel.program import Program
from penstock.kernel.syscall import Command, bpf
from penstock.kernel.verifier import explain
from penstock.lang.program import ProgramKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.compiler.spec import ProgramSpec, Relocation
    from penstock.kernel.map import Map
    from penstock.lang.maps import MapSpec

_log = logging.getLogger(__name__)

SLEEPABLE: Final = 1 << 4
"""BPF_F_SLEEPABLE, which a SYSCALL program must say it is."""

# include/uapi/linux/bpf.h: src_reg of an ld_imm64 or a call that refers to something
_PSEUDO: Final = {RelocationKind.MAP: 1, RelocationKind.MAP_VALUE: 2, RelocationKind.KFUNC: 2}
_PSEUDO_FUNC: Final = 4
_LD_IMM64: Final = 0x18

_FUNC_INFO, _LINE_INFO = 8, 16  # sizes of a record

# log_level and size of each attempt to hear the verifier's reason. Kernels before 5.2 take less than 16 MiB,
# and those before 6.4 keep the beginning, not the end: level 4 gives the reason without the way to it.
_LOGS: Final = ((1, (1 << 24) - 1), (4, 1 << 16))


def load_program(spec: ProgramSpec, maps: Mapping[MapSpec, Map]) -> Program:
    """Load a program that uses these maps.

    Raises:
        VerifierError: The verifier refuses it.
        KernelError: The kernel lacks something, or the process a capability.
    """
    memlock.lift()
    parts = (_complete(spec, maps), spec.license.encode("ascii") + b"\0", spec.func_info, spec.line_info)
    held = [ctypes.create_string_buffer(part, len(part)) for part in parts]
    code, license_name, functions, lines = map(ctypes.addressof, held)
    attributes = ProgLoad(
        prog_type=spec.kind,
        insn_cnt=len(spec.code) // 8,
        insns=code,
        license=license_name,
        prog_name=object_name(spec.name),
        prog_flags=SLEEPABLE if spec.kind is ProgramKind.SYSCALL else 0,
    )
    with contextlib.ExitStack() as borrowed:
        types = _load_types(spec)
        if types is not None:
            attributes.prog_btf_fd = borrowed.enter_context(types).fileno()
            attributes.func_info_rec_size, attributes.func_info = _FUNC_INFO, functions
            attributes.func_info_cnt = len(spec.func_info) // _FUNC_INFO
            attributes.line_info_rec_size, attributes.line_info = _LINE_INFO, lines
            attributes.line_info_cnt = len(spec.line_info) // _LINE_INFO
        return Program(_load(spec, attributes), spec.name, spec.kind)


def _load(spec: ProgramSpec, attributes: ProgLoad) -> int:
    """Load without a log, which is fast; if that fails, again to hear why."""
    try:
        return bpf(Command.PROG_LOAD, attributes)
    except OSError as error:
        refused = error
    log = ""
    for level, size in _LOGS:
        buffer = ctypes.create_string_buffer(size)
        attributes.log_level, attributes.log_size, attributes.log_buf = level, size, ctypes.addressof(buffer)
        try:
            return bpf(Command.PROG_LOAD, attributes)
        except OSError as error:
            log = buffer.value.decode(errors="replace")
            if error.errno != errno.ENOSPC or "\nprocessed " in log:
                break
    if log.strip():
        raise _refusal(spec, log) from refused
    with attempt(f"load program {spec.name}", Capability.BPF, Capability.NET_ADMIN):
        raise refused


def _refusal(spec: ProgramSpec, log: str) -> KernelError:
    """Return why the verifier refused a program: without CAP_PERFMON it refuses what it lets others do."""
    error = explain(spec, log)
    lacking = missing((Capability.PERFMON,))
    if not lacking:
        return error
    return KernelError(
        f"cannot load program {spec.name}: this process lacks {lacking[0]}; run it as root "
        f"(without that the verifier says: {error.reason})"
    )


def _complete(spec: ProgramSpec, maps: Mapping[MapSpec, Map]) -> bytes:
    """Return the code with the descriptors of maps and the numbers of kernel functions filled in."""
    code = bytearray(spec.code)
    functions = kernel_functions(spec.kfuncs) if spec.kfuncs else {}
    for name in spec.kfuncs:
        if name not in functions:
            raise KernelError(f"cannot load program {spec.name}: this kernel has no function {name}")
    for relocation in spec.relocations:
        if relocation.kind is RelocationKind.KFUNC:
            value = functions[spec.kfuncs[relocation.target]]
        else:
            value = maps[spec.maps[relocation.target]].fileno()
        _refer(code, relocation, value)
    return bytes(code)


def _refer(code: bytearray, relocation: Relocation, value: int) -> None:
    """Write what an instruction refers to: its kind into the four bits of src_reg, its number into imm."""
    start = relocation.instruction * 8
    if sys.byteorder == "little":
        code[start + 1] = code[start + 1] & 0x0F | _PSEUDO[relocation.kind] << 4
    else:
        code[start + 1] = code[start + 1] & 0xF0 | _PSEUDO[relocation.kind]
    struct.pack_into("=i", code, start + 4, value)


def _load_types(spec: ProgramSpec) -> Handle | None:
    """Load the types that functions and lines refer to; None if the kernel is too old and needs none."""
    if not spec.btf:
        return None
    try:
        return load_btf(spec.btf)
    except KernelError as error:
        if spec.kfuncs or _has_callbacks(spec.code):
            raise
        _log.warning("program %s is loaded without source lines: %s", spec.name, error)
        return None


def _has_callbacks(code: bytes) -> bool:
    """Whether an ld_imm64 takes the address of a function, for which the verifier wants to know its type."""
    shift = 4 if sys.byteorder == "little" else 0
    return any(
        code[start] == _LD_IMM64 and code[start + 1] >> shift & 0xF == _PSEUDO_FUNC
        for start in range(0, len(code), 8)
    )
