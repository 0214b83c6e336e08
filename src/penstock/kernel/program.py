"""Programs in the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import struct
import sys
from typing import TYPE_CHECKING, Final

from penstock.compiler.spec import RelocationKind
from penstock.errors import KernelError
from penstock.kernel import memlock, testrun
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import GetId, ProgInfo, ProgLoad
from penstock.kernel.btf import kernel_functions, load_btf
from penstock.kernel.capabilities import Capability
from penstock.kernel.handle import Handle, object_info, object_name
from penstock.kernel.pins import open_pin
from penstock.kernel.statistics import Statistics
from penstock.kernel.syscall import Command, bpf
from penstock.kernel.verifier import explain
from penstock.lang.program import ProgramKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from penstock.compiler.spec import ProgramSpec, Relocation
    from penstock.kernel.map import Map
    from penstock.lang.maps import MapSpec

_log = logging.getLogger(__name__)

_NEEDS: Final = (Capability.BPF, Capability.NET_ADMIN)

# log_level and size of each attempt to hear the verifier's reason. Kernels before 5.2 take less than 16 MiB,
# and those before 6.4 keep the beginning, not the end: level 4 gives the reason without the way to it.
_LOGS: Final = ((1, (1 << 24) - 1), (4, 1 << 16))

# include/uapi/linux/bpf.h: src_reg of an ld_imm64 or a call that refers to something
_PSEUDO: Final = {RelocationKind.MAP: 1, RelocationKind.MAP_VALUE: 2, RelocationKind.KFUNC: 2}
_PSEUDO_FUNC: Final = 4
SLEEPABLE: Final = 1 << 4  # BPF_FSLEEPABLE, which a SYSCALL program must say it is
_LD_IMM64: Final = 0x18


class Program(Handle):
    """A verified program."""

    def __init__(self, descriptor: int, name: str, kind: ProgramKind) -> None:
        self.name = name
        self.kind = kind
        super().__init__(descriptor, f"program {name}")

    @property
    def id(self) -> int:
        """The kernel's number for it, as `bpftool prog` shows it."""
        return object_info(self.fileno(), ProgInfo).id

    def test_run(
        self, data: bytes, *, repeat: int = 1, context: Mapping[str, int] | None = None
    ) -> testrun.TestResult:
        """Run the program on a packet that is not sent anywhere. Linux 4.12.

        Args:
            data: The packet, from its Ethernet header on: 14 bytes at least.
            repeat: How often to run it; what the program writes into the packet, the next run reads.
            context: Fields of `Xdp` or `Tc` to set by name, and to give back: Linux 5.2 (tc), 5.16 (XDP).

        Raises:
            KernelError: The kernel refuses the packet or the context.
        """
        return testrun.run(self, data, repeat, context)

    def test_runs(self, packets: Sequence[bytes]) -> npt.NDArray[np.int32]:
        """Run the program once on each packet; return what it returned for each. For very many of them."""
        return testrun.run_each(self, packets)

    def run(self) -> int:
        """Run a `syscall` program and return what it returns. Linux 5.14."""
        return testrun.call(self)

    def statistics(self) -> Statistics:
        """Return what the kernel counted, on all CPUs, while `run_statistics` were on. Linux 5.1."""
        info = object_info(self.fileno(), ProgInfo)
        return Statistics(info.run_time_ns, info.run_cnt, info.recursion_misses)


def load_program(spec: ProgramSpec, maps: Mapping[MapSpec, Map]) -> Program:
    """Load a program that uses these maps.

    Raises:
        VerifierError: The verifier refuses it.
        KernelError: The kernel lacks something, or the process a capability.
    """
    memlock.lift()
    code = ctypes.create_string_buffer(_complete(spec, maps), len(spec.code))
    license_name = ctypes.create_string_buffer(spec.license.encode("ascii"))
    attributes = ProgLoad(
        prog_type=spec.kind,
        insn_cnt=len(spec.code) // 8,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(license_name),
        prog_name=object_name(spec.name),
        prog_flags=SLEEPABLE if spec.kind is ProgramKind.SYSCALL else 0,
    )
    with contextlib.ExitStack() as borrowed:
        _describe(spec, attributes, borrowed)
        return Program(_load(spec, attributes), spec.name, spec.kind)


def open_program(path: str | os.PathLike[str]) -> Program:
    """Open a program that was pinned at `path`. KernelError if there is none, or of an unknown kind."""
    descriptor = open_pin(path)
    info = object_info(descriptor, ProgInfo)
    if info.type not in set(ProgramKind):
        os.close(descriptor)
        raise KernelError(f"cannot open the pin {os.fspath(path)}: no XDP or tc program")
    return Program(descriptor, info.name.decode(), ProgramKind(info.type))


def program_name(number: int) -> str:
    """Return the name of the program with this number, or just the number without CAP_SYS_ADMIN."""
    with contextlib.suppress(OSError), _by_number(number) as program:
        return object_info(program.fileno(), ProgInfo).name.decode() or str(number)
    return str(number)


def _by_number(number: int) -> Handle:
    return Handle(bpf(Command.PROG_GET_FD_BY_ID, GetId(number)), f"program {number}")


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
        raise explain(spec, log) from refused
    with attempt(f"load program {spec.name}", *_NEEDS):
        raise refused


def _complete(spec: ProgramSpec, maps: Mapping[MapSpec, Map]) -> bytes:
    """Return the code with the descriptors of maps and the numbers of kernel functions filled in."""
    code = bytearray(spec.code)
    functions = kernel_functions(spec.kfuncs) if spec.kfuncs else {}
    for name in spec.kfuncs:
        if name not in functions:
            raise KernelError(
                f"cannot load program {spec.name}: this kernel has no function {name} for programs"
            )
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


def _describe(spec: ProgramSpec, attributes: ProgLoad, borrowed: contextlib.ExitStack) -> None:
    """Add the program's types and lines. Without them where the kernel is too old, unless it calls back."""
    if not spec.btf:
        return
    try:
        attributes.prog_btf_fd = borrowed.enter_context(load_btf(spec.btf)).fileno()
    except KernelError as error:
        if spec.kfuncs or _has_callbacks(spec.code):
            raise
        _log.warning("program %s is loaded without source lines: %s", spec.name, error)
        return
    for name, size, table in (("func", 8, spec.func_info), ("line", 16, spec.line_info)):
        held = ctypes.create_string_buffer(table, len(table))
        borrowed.callback(_held, held)
        setattr(attributes, f"{name}_info_rec_size", size)
        setattr(attributes, f"{name}_info", ctypes.addressof(held))
        setattr(attributes, f"{name}_info_cnt", len(table) // size)


def _held(_buffer: object) -> None:
    """Keep a buffer until the stack of what is borrowed ends: so long the kernel may read it."""


def _has_callbacks(code: bytes) -> bool:
    """Whether an ld_imm64 takes the address of a function, for which the verifier wants to know its type."""
    shift = 4 if sys.byteorder == "little" else 0
    return any(
        code[start] == _LD_IMM64 and code[start + 1] >> shift & 0xF == _PSEUDO_FUNC
        for start in range(0, len(code), 8)
    )
