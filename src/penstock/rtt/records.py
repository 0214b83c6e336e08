"""What the RTT programs hand to Python: one record type for all events, counters, aggregates."""

from __future__ import annotations

from enum import IntEnum

from penstock.lang import Array, Struct, array, be16, be64, u8, u32, u64
from penstock.net.ip import Address


class EventKind(IntEnum):
    """What an event says."""

    RTT = 1
    OPENING = 2
    CLOSING = 3


class Reason(IntEnum):
    """Why a flow opened or closed."""

    NONE = 0
    SYN = 1
    SYN_ACK = 2
    FIRST_PACKET = 3
    FIN = 4
    RST = 5
    TIMEOUT = 6


class Trigger(IntEnum):
    """Who made a flow open or close: an endpoint as named in the event, or neither (a time-out)."""

    NONE = 0
    SOURCE = 1
    DESTINATION = 2


class Event(Struct):
    """An RTT or a change of a flow. Times in ns, `timestamp` on the monotonic clock.

    An event is about one direction of a flow, and named as pping and ePPing name it, after the packets that
    reply: `destination` sent the packet that was timed, `source` its reply, so the RTT is that between here
    and `source`. `sent` counts packets from `destination` to `source`, which may be timed; `received` those
    that may reply. Bytes are payload; a super-packet (GSO, GRO) counts as one. IPv4 addresses are mapped
    (::ffff:a.b.c.d, RFC 4291); for ICMP both ports are the echo identifier.
    """

    timestamp: u64
    rtt: u64
    min_rtt: u64
    sent_packets: u64
    sent_bytes: u64
    received_packets: u64
    received_bytes: u64
    source: Address
    destination: Address
    source_port: be16
    destination_port: be16
    protocol: u8
    family: u8
    kind: u8
    reason: u8
    trigger: u8
    on_egress: u8
    reserved: Array[u8] = array(2)
    ifindex: u32


class Counters(Struct):
    """What one CPU counted since the start: whatever could not be measured, by reason.

    Packets: `not_ip`; `truncated`, which end within a header; `other` IP packets, neither TCP nor echo or no
    first fragment; `no_timestamp`, TCP without the option; `slots_busy`, due to be timed while too many of
    the same direction were. Flows: `candidates` have been seen in one direction; `flows_created` were
    answered; `flows_refused` found no room; `flows_closed` ended or timed out. `prefixes_refused` counts
    packets whose prefix found no room: they are in the backup.
    """

    packets: u64
    not_ip: u64
    truncated: u64
    other: u64
    no_timestamp: u64
    slots_busy: u64
    rtts: u64
    events: u64
    candidates: u64
    flows_created: u64
    flows_refused: u64
    flows_closed: u64
    prefixes_refused: u64


class Occupancy(Struct):
    """What the last sweep left in the tables: answered flows, and candidates."""

    flows: u64
    candidates: u64


SUB_BUCKETS = 16
"""Buckets per doubling: a value is told from its bucket's middle with an error of at most 1/32."""

FIRST_OCTAVE = 10
"""Log2 of the lowest bucket's bound, ns: values below 2**10 ns fall into bucket 0."""

OCTAVES = 26
"""Doublings covered: up to 2**36 ns (68 s); values above fall into the last bucket."""

BUCKETS = OCTAVES * SUB_BUCKETS


class Prefix(Struct):
    """Key of an aggregate: the network part of an address, mapped if IPv4, upper half first."""

    address: Array[be64] = array(2)


class Aggregate(Struct):
    """One CPU's sums for a prefix in one interval. RTTs in ns; bytes are IP lengths.

    `sent` is traffic from addresses in the prefix, `received` towards them. ECN by code point: not-ECT,
    ECT(1), ECT(0), CE, of what was sent and received together.
    """

    rtt_sum: u64
    rtt_min: u64
    rtt_max: u64
    rtt_count: u64
    sent_packets: u64
    sent_bytes: u64
    received_packets: u64
    received_bytes: u64
    tcp_packets: u64
    tcp_bytes: u64
    udp_packets: u64
    udp_bytes: u64
    icmp_packets: u64
    icmp_bytes: u64
    other_packets: u64
    other_bytes: u64
    ecn: Array[u64] = array(4)
    histogram: Array[u32] = array(BUCKETS)
