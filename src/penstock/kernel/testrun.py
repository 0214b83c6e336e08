"""BPF_PROG_TEST_RUN: a program, run on a packet that goes nowhere. Linux 4.12."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.errors import KernelError
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import TestRun
from penstock.kernel.capabilities import Capability
from penstock.kernel.syscall import Command, bpf
from penstock.lang.program import ContextField, ProgramKind, Tc, Xdp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from penstock.kernel.program import Program

_SHORTEST: Final = 14  # ETH_HLEN
_GROWTH: Final = 1 << 16
"""Bytes by which a program may make a packet longer."""

_CONTEXTS: Final = {ProgramKind.XDP: (Xdp, 24), ProgramKind.SCHED_CLS: (Tc, 192)}
"""Class and size of the context: `struct xdp_md` and `struct __sk_buff`."""

_XDP_DATA_END: Final = 4

_LIVE_FRAMES: Final = 1 << 1  # BPF_F_TEST_XDP_LIVE_FRAMES
_NAPI_BUDGET: Final = 64


@dataclass(frozen=True)
class TestResult:
    """What came of a test run."""

    __test__ = False  # no test case, whatever its name

    retval: int
    data_out: bytes = field(repr=False)
    duration: int
    """ns per run, on average."""

    context: Mapping[str, int]
    """The fields that were given, as the program left them."""


def run(program: Program, data: bytes, repeat: int, context: Mapping[str, int]) -> TestResult:
    """Run a program; see `Program.test_run`."""
    _check(program, data)
    given = np.frombuffer(data, np.uint8)
    room = np.empty(len(data) + _GROWTH, np.uint8)
    attributes = TestRun(
        prog_fd=program.fileno(),
        data_in=given.ctypes.data,
        data_size_in=len(data),
        data_out=room.ctypes.data,
        data_size_out=len(room),
        repeat=repeat,
    )
    whole, fields = _context(program.kind, context, len(data))
    if context:
        attributes.ctx_in = attributes.ctx_out = whole.ctypes.data
        attributes.ctx_size_in = attributes.ctx_size_out = len(whole)
    with attempt(f"run program {program.name} on {len(data)} bytes", Capability.BPF, Capability.NET_ADMIN):
        bpf(Command.PROG_TEST_RUN, attributes)
    return TestResult(
        _signed(attributes.retval),
        room[: attributes.data_size_out].tobytes(),
        attributes.duration,
        {name: field.item() for name, field in fields.items()},
    )


def run_each(program: Program, packets: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """Run a program on each packet; see `Program.test_runs`."""
    for packet in packets:
        _check(program, packet)
    held = np.frombuffer(bytearray().join(packets), np.uint8)
    attributes = TestRun(prog_fd=program.fileno(), data_in=held.ctypes.data, repeat=1)
    results = np.empty(len(packets), np.uint32)
    with attempt(
        f"run program {program.name} on {len(packets)} packets", Capability.BPF, Capability.NET_ADMIN
    ):
        for index, packet in enumerate(packets):
            attributes.data_size_in, attributes.data_size_out = len(packet), 0  # the kernel writes to both
            bpf(Command.PROG_TEST_RUN, attributes)
            results[index] = attributes.retval
            attributes.data_in += len(packet)
    return results.view(np.int32)


class Repeated:
    """A program and a packet for it, to be run again and again at little cost; see `Program.repeated`."""

    def __init__(self, program: Program, data: bytes) -> None:
        _check(program, data)
        self._data = np.frombuffer(data, np.uint8)
        self._attributes = TestRun(
            prog_fd=program.fileno(), data_in=self._data.ctypes.data, data_size_in=len(data), repeat=1
        )
        self.run()

    def run(self) -> None:
        """Run it once. OSError if the kernel refuses what it took before."""
        self._attributes.data_size_out = 0  # the kernel writes to it
        bpf(Command.PROG_TEST_RUN, self._attributes)


def run_live(program: Program, data: bytes, count: int) -> None:
    """Run an XDP program on frames that go where it says; see `Program.send`."""
    _check(program, data)
    given = np.frombuffer(data, np.uint8)
    attributes = _live(program.fileno(), given, count)
    with attempt(f"send {count} frames by {program.name}", Capability.BPF, Capability.NET_ADMIN):
        bpf(Command.PROG_TEST_RUN, attributes)


def poll(descriptor: int, data: bytes, count: int) -> None:
    """Run an XDP program as `run_live` does, by its descriptor alone."""
    given = np.frombuffer(data, np.uint8)
    attributes = _live(descriptor, given, count)
    bpf(Command.PROG_TEST_RUN, attributes)


def _live(descriptor: int, given: npt.NDArray[np.uint8], count: int) -> TestRun:
    return TestRun(
        prog_fd=descriptor,
        data_in=given.ctypes.data,
        data_size_in=len(given),
        repeat=count,
        flags=_LIVE_FRAMES,
        batch_size=_NAPI_BUDGET,
    )


def call(program: Program) -> int:
    """Run a program that takes nothing; see `Program.run`."""
    if program.kind is not ProgramKind.SYSCALL:
        raise KernelError(f"cannot run program {program.name} without a packet: use test_run")
    attributes = TestRun(prog_fd=program.fileno())
    with attempt(f"run program {program.name}", Capability.BPF):
        bpf(Command.PROG_TEST_RUN, attributes)
    return _signed(attributes.retval)


def _context(
    kind: ProgramKind, given: Mapping[str, int], length: int
) -> tuple[npt.NDArray[np.uint8], dict[str, np.ndarray[Any, Any]]]:
    """Return the context structure, and views of its fields that are given, by name."""
    cls, size = _CONTEXTS[kind]
    whole = np.zeros(size, np.uint8)
    if kind is ProgramKind.XDP:
        whole[_XDP_DATA_END : _XDP_DATA_END + 4].view(np.uint32)[0] = length  # the kernel insists
    fields: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in given.items():
        member = getattr(cls, name, None)
        if not isinstance(member, ContextField):
            raise KernelError(f"cannot set the context's field {name!r}: {cls.__name__} has none")
        fields[name] = np.ndarray((), member.type.dtype, whole, member.offset)
        fields[name][()] = value
    return whole, fields


def _signed(retval: int) -> int:
    return retval - (1 << 32) if retval >> 31 else retval


def _check(program: Program, data: bytes) -> None:
    if program.kind not in _CONTEXTS:
        raise KernelError(f"cannot run program {program.name} on a packet: use run")
    if len(data) < _SHORTEST:
        least = f"the kernel takes {_SHORTEST} at least"
        raise KernelError(f"cannot test with a packet of {len(data)} bytes: {least}")
