"""Programs, what they are given, and what they return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, NoReturn, TypeVar, overload

from penstock.lang.maps import Ref
from penstock.lang.types import Array, IntType, be16, be32, be64, resolve, u32, u64

T = TypeVar("T")
B = TypeVar("B", be16, be32, be64)
F = TypeVar("F", bound=Callable[..., Any])


class ProgramKind(IntEnum):
    """`enum bpf_prog_type` of include/uapi/linux/bpf.h."""

    SCHED_CLS = 3
    XDP = 6
    SYSCALL = 31


@dataclass(frozen=True)
class ContextField:
    """A member of the kernel's context structure, at `offset` bytes; `writable` by programs or not."""

    type: IntType
    offset: int
    writable: bool = False


def _field(kind: Any, offset: int, *, writable: bool = False) -> Any:
    return ContextField(kind, offset, writable)


class Packet:
    """A packet in either kind of program; functions that take it are compiled for the kind at hand."""

    data_offset: ClassVar[int]
    """Where the context keeps the address of the first byte; that of the end follows it."""

    length: u32
    """Bytes from the link-layer header (if any) to the end."""

    ifindex: u32
    """Index of the interface that the packet came in on (tc: is on)."""

    @overload
    def read(self, header: type[int], offset: int) -> Ref[int] | None: ...
    @overload
    def read(self, header: type[B], offset: int) -> Ref[B] | None: ...
    @overload
    def read(self, header: type[T], offset: int) -> T | None: ...
    def read(self, header: Any, offset: int) -> Any:
        """Return a reference to `header` at `offset` bytes into the packet, or None if it ends before."""
        _in_program()


class Xdp(Packet):
    """A frame in an XDP program: `struct xdp_md` of include/uapi/linux/bpf.h. Linux 4.8."""

    data_offset = 0
    ifindex: u32 = _field(u32, 12)
    rx_queue: u32 = _field(u32, 16)
    egress_ifindex: u32 = _field(u32, 20)


class Tc(Packet):
    """A packet in a tc program: `struct __sk_buff` of include/uapi/linux/bpf.h. May be a GSO super-packet.

    Only the linear part can be read: `pull(packet, n)` of `helpers` makes it longer. Linux 4.7.
    """

    data_offset = 76
    length: u32 = _field(u32, 0)
    packet_type: u32 = _field(u32, 4)
    mark: u32 = _field(u32, 8, writable=True)
    queue_mapping: u32 = _field(u32, 12, writable=True)
    protocol: u32 = _field(u32, 16)
    vlan_present: u32 = _field(u32, 20)
    vlan_tci: u32 = _field(u32, 24)
    vlan_proto: u32 = _field(u32, 28)
    priority: u32 = _field(u32, 32, writable=True)
    ingress_ifindex: u32 = _field(u32, 36)
    ifindex: u32 = _field(u32, 40)
    tc_index: u32 = _field(u32, 44, writable=True)
    hash: u32 = _field(u32, 68)
    tc_classid: u32 = _field(u32, 72, writable=True)
    tstamp: u64 = _field(u64, 152, writable=True)
    gso_segs: u32 = _field(u32, 164)
    gso_size: u32 = _field(u32, 176)


XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT = range(5)
TC_UNSPEC, TC_OK, TC_RECLASSIFY, TC_SHOT, TC_PIPE = range(-1, 4)
TC_STOLEN, TC_QUEUED, TC_REPEAT, TC_REDIRECT = range(4, 8)


@dataclass(eq=False)
class Program:
    """A function marked as a program. It is compiled when it is loaded, with the globals it then sees."""

    function: Callable[..., int]
    kind: ProgramKind
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.function.__name__


def xdp(function: Callable[[Xdp], int]) -> Program:
    """Mark an XDP program: it sees each frame as the driver hands it over, and returns an `XDP_` action."""
    return Program(function, ProgramKind.XDP)


def tc(function: Callable[[Tc], int]) -> Program:
    """Mark a tc program: it sees packets on ingress or egress, and returns a `TC_` action."""
    return Program(function, ProgramKind.SCHED_CLS)


def syscall(function: Callable[[], int]) -> Program:
    """Mark a program that Python runs, by `loaded[program].run()`, for work on maps while packets go on.

    Unlike the others it may be interrupted at any time. Linux 5.14.
    """
    return Program(function, ProgramKind.SYSCALL)


def subprogram(function: F) -> F:
    """Keep `function` a function in the kernel instead of inlining it; at most five arguments.

    It returns an integer, a truth value or nothing. Linux 4.16. The verifier looks at it anew for each call.
    """
    function.__penstock_subprogram__ = True  # type: ignore[attr-defined]
    return function


def global_subprogram(function: F) -> F:
    """Keep `function` a function in the kernel that the verifier looks at once, whatever it is called with.

    It takes at most five numbers or truth values, of which only the type is known, and returns one. Use
    it for what has many branches or loops: through a `subprogram` the verifier walks at every call. The
    kernel's name for it is global function. Linux 5.6.
    """
    function.__penstock_subprogram__ = "alone"  # type: ignore[attr-defined]
    return function


def zeros(element: type[T], length: int) -> Array[T]:
    """Make a zeroed local array of `length` elements on the stack (in programs only)."""
    _in_program()


def sizeof(kind: Any) -> int:
    """Size of a type or Struct class in bytes; a constant in programs."""
    return resolve(kind).size


def tail_call(packet: Packet, programs: Any, index: int) -> None:
    """Continue with another program for good; returns only if `index` holds none. Linux 4.2."""
    _in_program()


def _in_program() -> NoReturn:
    raise TypeError("only programs can do this")
