"""What the RTT programs remember, and where."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from penstock.lang import (
    Array,
    Global,
    HashMap,
    LruHash,
    PerCpuArray,
    PerCpuHash,
    RingBuf,
    Struct,
    array,
    be16,
    sizeof,
    u8,
    u32,
    u64,
)
from penstock.net.ip import Address
from penstock.rtt.options import RttOptions
from penstock.rtt.records import Aggregate, Counters, Event, Occupancy, Prefix

OWN_ADDRESSES = 4096

TICK: Final = round(1e9 * time.clock_getres(6))  # CLOCK_MONOTONIC_COARSE, whose ticks jiffies count
"""ns between two ticks of the kernel: 1/CONFIG_HZ."""


class FlowKey(Struct):
    """A flow in both directions, on one interface: the endpoint with the smaller address comes first."""

    low: Address
    high: Address
    low_port: be16
    high_port: be16
    ifindex: u32
    protocol: u8
    is_ipv6: bool


class State(IntEnum):
    """A direction's life. It opens when its receiver answers."""

    EMPTY = 0
    WAITING = 1
    OPEN = 2
    CLOSED = 3


class Direction(Struct):
    """Packets from one endpoint to the other.

    `newest` is the last identifier (TSval, echo sequence) that was sent, `echoed` the newest that the
    receiver sent back; 0: none yet. `timed` is when a packet was last timed, `timed_tick` the same in ticks.

    Two CPUs may work on a direction at once. Counters, `newest`, `echoed`, `timed` and the RTTs are plain:
    an update may be lost, so that a packet goes uncounted or an RTT stays out of the minimum. `state` only
    leaves WAITING and OPEN by atomic operations, so that each event is sent once.
    """

    packets: u64
    bytes: u64
    newest: u32
    echoed: u32
    state: u32
    timed_tick: u32
    timed: u64


class History(Struct):
    """What a direction's events tell: when a packet first asked for an answer, and its RTTs."""

    opened: u64
    min_rtt: u64
    smoothed_rtt: u64


class Flow(Struct):
    """Both directions, that from the low endpoint first, and what is known of the two together.

    What every packet needs comes first: with the kernel's 48 bytes and the key before it, that is in three
    cache lines. `seen` is the time of the last packet in the kernel's ticks, which cost no clock read.
    """

    seen: u64
    directions: Array[Direction] = array(2)
    histories: Array[History] = array(2)
    opener: u32
    answered: u32
    counted: u32
    reasons: Array[u8] = array(2)
    reserved: Array[u32] = array(2)  # so that a line begins with the slots


class Entry(Struct):
    """A flow, and the packets of it that are being timed, as `slots` of each direction.

    A slot is 0 or holds identifier and time in one word, so that it is taken and freed in one atomic step.
    How many there are depends on the options: `entry_type`. Each direction has an array of its own: an index
    that is put together by `|` has no bounds for the verifier of Linux 6.1.
    """

    flow: Flow
    slots: Array[Array[u64]] = array(2, 1)


def entry_type(count: int) -> type[Entry]:
    """Return an `Entry` with so many slots for each direction, a power of two."""

    class SizedEntry(Entry):
        flow: Flow
        slots: Array[Array[u64]] = array(2, count)

    return SizedEntry


@dataclass(frozen=True, eq=False)
class Tables:
    """Every map of the programs.

    A flow is in `pending` until its opener goes on after an answer: a flood of spoofed sources never does, so
    that it pushes nothing out of `flows`, however many answers it draws. A packet of a flow in `flows` costs
    one look-up.
    """

    options: RttOptions
    flows: LruHash[FlowKey, Entry]
    pending: LruHash[FlowKey, Entry]
    blank: Global[Entry]
    """All zeros, to make entries of: they are too big for a program's stack."""
    occupancy: Global[Occupancy]
    counters: PerCpuArray[Counters]
    events: RingBuf[Event]
    own: HashMap[Address, u8]
    """This host's addresses, where the option `local` is off. Python keeps it up to date."""
    active: Global[u32]
    """Which of the two sets of aggregates programs write to, 0 or 1."""
    aggregates: tuple[PerCpuHash[Prefix, Aggregate], PerCpuHash[Prefix, Aggregate]]
    backup: PerCpuArray[Aggregate]
    """Where packets are counted whose prefix finds no room: element 2 * set + (1 if IPv6)."""
    empty: Global[Aggregate]
    """All zeros, to make aggregates of."""

    @property
    def events_per_wakeup(self) -> int:
        """Events after which a CPU wakes the reader: together, eight times while the ring buffer fills up."""
        events = self.options.ring_bytes // (sizeof(Event) + 8)
        return 1 << max(events // (8 * (os.cpu_count() or 1)), 1).bit_length() - 1


def make_tables(options: RttOptions) -> Tables:
    """Return the maps that these options ask for."""
    entry = entry_type(options.slots)
    prefixes = options.prefixes
    return Tables(
        options=options,
        flows=LruHash(FlowKey, entry, options.flows, name="flows"),
        pending=LruHash(FlowKey, entry, options.pending, name="pending"),
        blank=Global(entry, name="blank"),
        occupancy=Global(Occupancy, name="occupancy"),
        counters=PerCpuArray(Counters, 1, name="counters"),
        events=RingBuf(Event, options.ring_bytes, name="events"),
        own=HashMap(Address, u8, OWN_ADDRESSES, name="own"),
        active=Global(u32, name="active"),
        aggregates=(
            PerCpuHash(Prefix, Aggregate, prefixes, name="aggregates_0"),
            PerCpuHash(Prefix, Aggregate, prefixes, name="aggregates_1"),
        ),
        backup=PerCpuArray(Aggregate, 4, name="backup"),
        empty=Global(Aggregate, name="empty"),
    )
