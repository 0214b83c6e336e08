"""Kernel helpers that programs may call: the part of include/uapi/linux/bpf.h that packet programs need.

Each function's decorator gives the helper's number and the kernel that brought it; its annotations are the
signature the compiler checks. `Memory` is a reference to any struct or array. Results are as in the kernel: 0
or a positive number, or a negative errno. A `size` is the `sizeof(…)` of what comes before it.

After a helper that may move the packet's data (`pull`, `xdp_adjust_head` and the like), the verifier wants
what was read from the packet to be read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from penstock.lang.maps import MapSpec
from penstock.lang.program import Packet, Tc, Xdp
from penstock.lang.struct import Struct
from penstock.lang.types import Array, Timer, array, be16, be32, i32, i64, u8, u16, u32, u64

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    Memory: TypeAlias = Any
else:

    class Memory:
        """A reference to any struct or array."""


@dataclass(frozen=True)
class HelperInfo:
    """A helper's number in the kernel's table and the Linux version that brought it."""

    number: int
    since: tuple[int, int]


@dataclass(frozen=True)
class KfuncInfo:
    """The Linux version that brought a kernel function."""

    since: tuple[int, int]


def helper(number: int, *, since: tuple[int, int]) -> Callable[[F], F]:
    """Declare the decorated stub to be kernel helper `number`."""

    def mark(stub: F) -> F:
        stub.__helper__ = HelperInfo(number, since)  # type: ignore[attr-defined]
        return stub

    return mark


def kfunc(*, since: tuple[int, int]) -> Callable[[F], F]:
    """Declare the decorated stub to be the kernel function of its name, found through the kernel's BTF.

    >>> @kfunc(since=(6, 2))
    ... def bpf_rcu_read_lock() -> None:
    ...     raise TypeError("only programs can do this")
    """

    def mark(stub: F) -> F:
        stub.__kfunc__ = KfuncInfo(since)  # type: ignore[attr-defined]
        return stub

    return mark


def _in_program() -> NoReturn:
    raise TypeError("only programs can do this")


# Time, chance, place.


@helper(5, since=(4, 1))
def ktime_get_ns() -> u64:
    """Nanoseconds since boot, without time suspended (CLOCK_MONOTONIC)."""
    _in_program()


@helper(125, since=(5, 8))
def ktime_get_boot_ns() -> u64:
    """Nanoseconds since boot, with time suspended (CLOCK_BOOTTIME)."""
    _in_program()


@helper(160, since=(5, 11))
def ktime_get_coarse_ns() -> u64:
    """Nanoseconds since boot at the last timer tick: cheaper, and up to a tick old."""
    _in_program()


@helper(118, since=(5, 5))
def jiffies64() -> u64:
    """Timer ticks since boot."""
    _in_program()


@helper(7, since=(4, 1))
def get_prandom_u32() -> u32:
    """Return a pseudo-random number."""
    _in_program()


@helper(8, since=(4, 1))
def get_smp_processor_id() -> u32:
    """Return the CPU that the program runs on, counted from 0."""
    _in_program()


# Checksums.


@helper(28, since=(4, 6))
def csum_diff(before: Memory, before_size: u32, after: Memory, after_size: u32, seed: u32) -> i64:
    """Checksum of `after` less that of `before`, plus `seed`; sizes are multiples of 4, 0 leaves one out."""
    _in_program()


@helper(10, since=(4, 1))
def l3_csum_replace(packet: Tc, offset: u32, before: u64, after: u64, flags: u64) -> i64:
    """Correct the IP checksum at `offset` for a field that changes; `flags` is its size (2 or 4)."""
    _in_program()


@helper(11, since=(4, 1))
def l4_csum_replace(packet: Tc, offset: u32, before: u64, after: u64, flags: u64) -> i64:
    """Correct the TCP or UDP checksum at `offset` for a field that changes.

    `flags`: its size (2 or 4), with CSUM_PSEUDO_HEADER if it belongs to the pseudo-header and CSUM_MANGLED_0
    for UDP over IPv4.
    """
    _in_program()


CSUM_PSEUDO_HEADER = 1 << 4  # BPF_F_PSEUDO_HDR
CSUM_MANGLED_0 = 1 << 5  # BPF_F_MARK_MANGLED_0


# Ways out.


class FibLookup(Struct):
    """What `fib_lookup` is asked and answers: `struct bpf_fib_lookup`. IPv4 uses the first of four."""

    family: u8
    """AF_INET (2) or AF_INET6 (10)."""
    protocol: u8
    source_port: be16
    destination_port: be16
    length: u16
    """Length of the packet from its IP header, to be checked against the MTU (0: not); out: the MTU."""
    ifindex: u32
    """In: the interface that the packet came in on. Out: the one to send it to."""
    flow_info: be32
    """IPv6: priority and flow label. IPv4: TOS in the first byte, `be32(tos << 24)`."""
    source: Array[be32] = array(4)
    destination: Array[be32] = array(4)
    """Out: the next hop."""
    vlan_protocol: be16
    vlan_tci: be16
    source_mac: Array[u8] = array(6)
    destination_mac: Array[u8] = array(6)


AF_INET, AF_INET6 = 2, 10

FIB_DIRECT = 1 << 0  # BPF_FIB_LOOKUP_DIRECT
FIB_OUTPUT = 1 << 1  # BPF_FIB_LOOKUP_OUTPUT
FIB_SKIP_NEIGHBOUR = 1 << 2  # BPF_FIB_LOOKUP_SKIP_NEIGH, Linux 6.3

FIB_SUCCESS, FIB_BLACKHOLE, FIB_UNREACHABLE, FIB_PROHIBIT, FIB_NOT_FORWARDED = range(5)
FIB_FORWARDING_DISABLED, FIB_UNSUPPORTED, FIB_NO_NEIGHBOUR, FIB_FRAGMENTATION_NEEDED = range(5, 9)


@helper(69, since=(4, 18))
def fib_lookup(packet: Packet, route: FibLookup, size: u32, flags: u32) -> i64:
    """Ask the kernel's routing and neighbour tables; FIB_SUCCESS or why not, negative for a bad question."""
    _in_program()


class NextHop(Struct):
    """Where `redirect_neigh` sends to: `struct bpf_redir_neigh`. An IPv4 address is the first of four."""

    family: u32
    address: Array[be32] = array(4)


@helper(23, since=(4, 4))
def redirect(ifindex: u32, flags: u64 = 0) -> i64:
    """Send the packet to an interface when the program returns this. tc: flag 1 lets it come in there."""
    _in_program()


@helper(155, since=(5, 10))
def redirect_peer(ifindex: u32, flags: u64 = 0) -> i64:
    """Let the packet come in on the other end of a veth, in its namespace; tc ingress only."""
    _in_program()


@helper(152, since=(5, 10))
def redirect_neigh(ifindex: u32, hop: NextHop, size: u32, flags: u64 = 0) -> i64:
    """Send the packet to an interface and the link-layer address of `hop`; size 0: its own next hop."""
    _in_program()


@helper(13, since=(4, 2))
def clone_redirect(packet: Tc, ifindex: u32, flags: u64 = 0) -> i64:
    """Send a copy of the packet to an interface; flag 1 lets it come in there."""
    _in_program()


@helper(163, since=(5, 12))
def check_mtu(packet: Packet, ifindex: u32, length: Memory, difference: i32, flags: u64 = 0) -> i64:
    """Whether the packet, grown by `difference`, fits an interface's MTU: 0, 1 too long, 2 segments too long.

    `length` is an array of one u32: in, 0 or the length to check; out, the MTU.
    """
    _in_program()


# XDP frames.


@helper(44, since=(4, 10))
def xdp_adjust_head(packet: Xdp, delta: i32) -> i64:
    """Move the start of the frame: negative to make room."""
    _in_program()


@helper(65, since=(4, 18))
def xdp_adjust_tail(packet: Xdp, delta: i32) -> i64:
    """Move the end of the frame; it grows (Linux 5.8) only where there is room behind it."""
    _in_program()


@helper(54, since=(4, 15))
def xdp_adjust_meta(packet: Xdp, delta: i32) -> i64:
    """Make room (negative) for metadata before the frame."""
    _in_program()


@helper(188, since=(5, 18))
def xdp_get_buff_len(packet: Xdp) -> u64:
    """Length of the frame with all its fragments."""
    _in_program()


@helper(189, since=(5, 18))
def xdp_load_bytes(packet: Xdp, offset: u32, to: Memory, length: u32) -> i64:
    """Copy bytes of the frame to memory."""
    _in_program()


@helper(190, since=(5, 18))
def xdp_store_bytes(packet: Xdp, offset: u32, source: Memory, length: u32) -> i64:
    """Copy bytes from memory into the frame."""
    _in_program()


# Packets in tc.


@helper(39, since=(4, 9))
def pull(packet: Tc, length: u32) -> i64:
    """Make the first `length` bytes readable and writable (0: the whole linear part): `bpf_skb_pull_data`."""
    _in_program()


@helper(26, since=(4, 5))
def skb_load_bytes(packet: Tc, offset: u32, to: Memory, length: u32) -> i64:
    """Copy bytes of the packet to memory, wherever they lie."""
    _in_program()


@helper(9, since=(4, 1))
def skb_store_bytes(packet: Tc, offset: u32, source: Memory, length: u32, flags: u64 = 0) -> i64:
    """Copy bytes from memory into the packet. Flags: 1 keeps the checksum right, 2 forgets the flow hash."""
    _in_program()


@helper(18, since=(4, 3))
def skb_vlan_push(packet: Tc, protocol: be16, tci: u16) -> i64:
    """Add a VLAN tag."""
    _in_program()


@helper(19, since=(4, 3))
def skb_vlan_pop(packet: Tc) -> i64:
    """Remove the outermost VLAN tag."""
    _in_program()


@helper(38, since=(4, 9))
def skb_change_tail(packet: Tc, length: u32, flags: u64 = 0) -> i64:
    """Cut or grow the packet to `length` bytes; it becomes linear."""
    _in_program()


@helper(43, since=(4, 10))
def skb_change_head(packet: Tc, length: u32, flags: u64 = 0) -> i64:
    """Add `length` bytes before the packet, for a link-layer header."""
    _in_program()


@helper(31, since=(4, 8))
def skb_change_proto(packet: Tc, protocol: be16, flags: u64 = 0) -> i64:
    """Make room for the other IP version's header; the program writes it."""
    _in_program()


@helper(50, since=(4, 13))
def skb_adjust_room(packet: Tc, difference: i32, mode: u32, flags: u64 = 0) -> i64:
    """Grow or shrink the room behind the network header (mode 0) or before it (mode 1, Linux 5.2)."""
    _in_program()


@helper(34, since=(4, 8))
def get_hash_recalc(packet: Tc) -> u32:
    """Return the flow hash, computed if it is not known."""
    _in_program()


@helper(48, since=(4, 13))
def set_hash(packet: Tc, value: u32) -> i64:
    """Set the flow hash."""
    _in_program()


@helper(97, since=(5, 1))
def skb_ecn_set_ce(packet: Tc) -> i64:
    """Mark congestion: 1 if the packet is marked now, 0 if its flow does not know ECN."""
    _in_program()


# Loops and timers.


@helper(181, since=(5, 17))
def loop(count: u32, callback: Callable[[u64, Any], int], state: Memory, flags: u64 = 0) -> i64:
    """Call `callback(index, state)` up to `count` times, until it returns 1; the number of calls."""
    _in_program()


CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME = 0, 1, 7


@helper(169, since=(5, 15))
def timer_init(timer: Timer, values: MapSpec, clock: u64 = CLOCK_MONOTONIC) -> i64:
    """Set a timer up, once; `values` is the map that it lies in. -EBUSY if it is set up already."""
    _in_program()


@helper(170, since=(5, 15))
def timer_set_callback(timer: Timer, callback: Callable[[Any, Any], int]) -> i64:
    """Say what is called when the timer ends: `callback(key, value)`, which returns 0."""
    _in_program()


@helper(171, since=(5, 15))
def timer_start(timer: Timer, nanoseconds: u64, flags: u64 = 0) -> i64:
    """Start the timer. Flags: 1 absolute time, 2 stays on this CPU (Linux 6.7)."""
    _in_program()


@helper(172, since=(5, 15))
def timer_cancel(timer: Timer) -> i64:
    """Stop the timer, and wait for its callback; 1 if it was running."""
    _in_program()
