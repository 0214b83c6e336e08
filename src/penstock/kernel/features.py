"""What this kernel can do: each feature is tried, not guessed from a version, once per process."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from penstock.errors import KernelError
from penstock.kernel import batch
from penstock.kernel.array import Array
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import ProgLoad
from penstock.kernel.btf import kernel_functions
from penstock.kernel.capabilities import Capability
from penstock.kernel.cells import Cells
from penstock.kernel.handle import Handle
from penstock.kernel.instruction import instruction
from penstock.kernel.interface import Interface
from penstock.kernel.map import Map, create_map
from penstock.kernel.program import Program
from penstock.kernel.program_load import SLEEPABLE, load_program
from penstock.kernel.root import ROOT
from penstock.kernel.statistics import run_statistics
from penstock.kernel.syscall import Command, bpf
from penstock.kernel.tcx import attach_tcx
from penstock.kernel.xdp import attach_xdp
from penstock.lang import maps as lang
from penstock.lang.program import ProgramKind
from penstock.lang.struct import Struct
from penstock.lang.types import resolve, u32, u64

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_CLONE_NEWNET: Final = 0x40000000
_LOOPBACK: Final = Interface("lo", 1)


@dataclass(frozen=True)
class Feature:
    """Something that a kernel has or lacks."""

    name: str
    purpose: str
    """What penstock needs it for."""

    since: tuple[int, int]
    """The kernel version that brought it; distributions may have brought it to older ones."""

    probe: Callable[[], None]
    """Tries it; raises KernelError or OSError if that fails."""

    def supported(self) -> bool:
        """Whether this kernel has it. KernelError if this process may not find out."""
        return _supported(self)

    def __str__(self) -> str:
        return f"{self.name} (Linux {self.since[0]}.{self.since[1]})"


@functools.cache
def _supported(feature: Feature) -> bool:
    try:
        feature.probe()
    except (KernelError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EPERM:
            with attempt(
                f"find out about {feature}", Capability.BPF, Capability.NET_ADMIN, Capability.SYS_ADMIN
            ):
                raise cause from error
        return False
    return True


@contextlib.contextmanager
def using(*features: Feature) -> Generator[None]:
    """Add to a KernelError from within which of these features this kernel lacks, if it does."""
    try:
        yield
    except KernelError as error:
        refused = isinstance(error.__cause__, OSError) and error.__cause__.errno not in (
            errno.EPERM,
            errno.EBUSY,
        )
        lacking = [str(feature) for feature in features if refused and not feature.supported()]
        if not lacking:
            raise
        raise KernelError(f"{error}: this kernel has no {', no '.join(lacking)}") from error.__cause__


_MOV, _LESS, _ADD, _CALL, _EXIT = 0xB7, 0xA5, 0x07, 0x85, 0x95
_STORE, _ATOMIC = 0x7A, 0xDB  # of 64 bits
_XCHG: Final = 0xE1
_RETURN: Final = instruction(_MOV) + instruction(_EXIT)  # r0 = 0; exit

_SUBPROGRAM: Final = instruction(_CALL, src=1, immediate=1) + instruction(_EXIT) + _RETURN
_LOOP: Final = (
    instruction(_MOV) + instruction(_ADD, immediate=1) + instruction(_LESS, offset=-2, immediate=9)
) + _RETURN
_EXCHANGE: Final = (
    instruction(_MOV, 1)
    + instruction(_STORE, 10, offset=-8)
    + instruction(_ATOMIC, 10, 1, offset=-8, immediate=_XCHG)
    + _RETURN
)


def _load(code: bytes, kind: ProgramKind = ProgramKind.XDP) -> Program:
    held, free = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    attributes = ProgLoad(
        prog_type=kind,
        insn_cnt=len(code) // 8,
        insns=ctypes.addressof(held),
        license=ctypes.addressof(free),
        prog_flags=SLEEPABLE if kind is ProgramKind.SYSCALL else 0,
    )
    return Program(bpf(Command.PROG_LOAD, attributes), "probe", kind)


def _runs(code: bytes, kind: ProgramKind = ProgramKind.XDP) -> Callable[[], None]:
    """Probe by loading a program and running it."""

    def probe() -> None:
        with _load(code, kind) as program:
            program.test_run(bytes(64))

    return probe


def _helper(number: int) -> Callable[[], None]:
    """Probe by calling a helper: without arguments that is refused, but whether it is known is in the log."""

    def probe() -> None:
        code = instruction(_CALL, immediate=number) + _RETURN
        held, log = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(1 << 12)
        free = ctypes.create_string_buffer(b"GPL")
        attributes = ProgLoad(
            prog_type=ProgramKind.XDP,
            insn_cnt=len(code) // 8,
            insns=ctypes.addressof(held),
            license=ctypes.addressof(free),
            log_level=1,
            log_size=len(log),
            log_buf=ctypes.addressof(log),
        )
        try:
            Handle(bpf(Command.PROG_LOAD, attributes), "probe").close()
        except OSError:
            if not log.value or re.search(rb"(unknown|invalid) func", log.value):
                raise

    return probe


def _map(spec: lang.MapSpec) -> Callable[[], None]:
    """Probe by creating a map."""

    def probe() -> None:
        Map(spec, create_map(spec), "probe").close()

    return probe


def _map_memory() -> None:
    spec = lang.ArrayMap(u64, 1)
    with Array[int](spec, create_map(spec)) as array:
        array.memory[0] = 1


def _batches() -> None:
    spec = lang.HashMap(u32, u32, 1)
    cells = Cells[int](resolve(u32))
    with Map(spec, create_map(spec)) as table:
        batch.read(table.fileno(), 1, (cells, cells), Command.MAP_LOOKUP_BATCH, 0)


def _statistics() -> None:
    with run_statistics():
        pass


def _kernel_types() -> None:
    kernel_functions(())


def _elsewhere(probe: Callable[[], None]) -> Callable[[], None]:
    """Probe in a network namespace that has nothing but a loopback interface, and goes with its thread."""

    def enter_and_probe() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot make a network namespace")
        probe()

    def in_thread() -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(enter_and_probe).result()

    return in_thread


def _xdp_link() -> None:
    with _load(_RETURN) as program, attach_xdp(program, _LOOPBACK, "generic"):
        pass


def _chain() -> None:
    """Load the root of a chain. On arm64 this came with Linux 6.0."""
    with contextlib.ExitStack() as owned:
        maps = {spec: owned.enter_context(Map(spec, create_map(spec))) for spec in ROOT.maps}
        load_program(ROOT, maps).close()


def _tcx() -> None:
    """Attach to no interface: a kernel with TCX looks for it, one without has no such kind of attachment."""
    with _load(_RETURN, ProgramKind.SCHED_CLS) as program:
        try:
            attach_tcx(program, Interface("none", (1 << 31) - 1), "ingress", first=False).close()
        except KernelError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.ENODEV:
                raise


def _clsact() -> None:
    from penstock.kernel.clsact import ClsactLink  # noqa: PLC0415 (pyroute2 is slow to import)

    with _load(_RETURN, ProgramKind.SCHED_CLS) as program:
        ClsactLink(program, _LOOPBACK, "ingress", first=False).close()


class _Prefix(Struct):
    prefix: u32
    address: u32


MAPS: Final = {
    spec.kind: Feature(name, purpose, since, _map(spec))
    for spec, name, purpose, since in (
        (lang.HashMap(u32, u32, 1), "hash maps", "tables", (3, 19)),
        (lang.ProgArray(1), "program arrays", "tail calls", (4, 2)),
        (lang.PerCpuHash(u32, u32, 1), "per-CPU hash maps", "counters by key", (4, 6)),
        (lang.PerCpuArray(u32, 1), "per-CPU arrays", "counters", (4, 6)),
        (lang.LruHash(u32, u32, 1), "LRU hash maps", "flow tables", (4, 10)),
        (lang.LpmTrie(_Prefix, u32, 1), "LPM tries", "tables of prefixes", (4, 11)),
        (lang.ArrayOfMaps(lang.HashMap(u32, u32, 1), 1), "arrays of maps", "exchange of tables", (4, 12)),
        (lang.DevMap(1), "device maps", "forwarding in XDP", (4, 14)),
        (lang.XskMap(1), "socket maps", "AF_XDP", (4, 18)),
        (lang.RingBuf(u64, 4096), "ring buffers", "events", (5, 8)),
    )
}

XDP: Final = Feature("XDP programs", "packets before the stack", (4, 8), _runs(_RETURN))
TC: Final = Feature("tc programs", "packets at the tc hooks", (4, 1), _runs(_RETURN, ProgramKind.SCHED_CLS))
SYSCALL: Final = Feature(
    "syscall programs", "sweeps of tables", (5, 14), lambda: _load(_RETURN, ProgramKind.SYSCALL).close()
)
PROGRAMS: Final = {ProgramKind.XDP: XDP, ProgramKind.SCHED_CLS: TC, ProgramKind.SYSCALL: SYSCALL}
SUBPROGRAMS: Final = Feature("functions in programs", "subprograms, callbacks", (4, 16), _runs(_SUBPROGRAM))
SPIN_LOCKS: Final = Feature("spin locks", "values changed as a whole", (5, 1), _helper(93))
LOOPS: Final = Feature("bounded loops", "loops that are not unrolled", (5, 3), _runs(_LOOP))
KERNEL_TYPES: Final = Feature("kernel BTF", "calls of kernel functions", (5, 4), _kernel_types)
MAP_MEMORY: Final = Feature("mapped arrays", "values shared with programs", (5, 5), _map_memory)
BATCHES: Final = Feature("map batches", "reading tables at once", (5, 6), _batches)
RUN_STATISTICS: Final = Feature("run statistics", "the cost of programs", (5, 8), _statistics)
XDP_LINKS: Final = Feature("XDP links", "XDP that goes with its process", (5, 9), _elsewhere(_xdp_link))
FETCHING_ATOMICS: Final = Feature("atomics with a result", "exchange, compare", (5, 12), _runs(_EXCHANGE))
FOR_EACH: Final = Feature("map iteration in programs", "for_each", (5, 13), _helper(164))
LOOP_CALLS: Final = Feature("loops of calls", "helpers.loop", (5, 17), _helper(181))
TIMERS: Final = Feature("timers", "programs that run by themselves", (5, 15), _helper(169))
CHAINS: Final = Feature("tail calls in functions", "XDP programs in a chain", (5, 10), _chain)
XDP_BYTES: Final = Feature("XDP byte copies", "packets in and out of queues", (5, 18), _helper(189))
TCX: Final = Feature("TCX", "tc programs that go with their process", (6, 6), _tcx)
CLSACT: Final = Feature("clsact", "tc programs where there is no TCX", (4, 5), _elsewhere(_clsact))

FEATURES: Final = (
    *MAPS.values(),
    XDP,
    TC,
    SUBPROGRAMS,
    SPIN_LOCKS,
    LOOPS,
    KERNEL_TYPES,
    MAP_MEMORY,
    BATCHES,
    RUN_STATISTICS,
    XDP_LINKS,
    CHAINS,
    FETCHING_ATOMICS,
    FOR_EACH,
    SYSCALL,
    TIMERS,
    LOOP_CALLS,
    XDP_BYTES,
    TCX,
    CLSACT,
)
"""All of them, for `penstock doctor`."""
