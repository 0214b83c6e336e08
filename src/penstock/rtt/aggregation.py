"""Sums and histograms for each prefix, kept in the kernel.

There are two sets of them. Programs write to the one that `active` names; at the end of an interval Python
changes `active`, waits until every program that may have seen the old value has ended (one RCU grace period:
`membarrier`), and then has the other set to itself.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import be64, u32, u64
from penstock.net.ip import Address, Layers, Protocol
from penstock.rtt.options import RttOptions
from penstock.rtt.records import BUCKETS, FIRST_OCTAVE, SUB_BUCKETS, Aggregate, Counters, Prefix
from penstock.rtt.tables import FlowKey, Tables

_NEW_ONLY: Final = 1  # BPF_NOEXIST
_SUB_BITS: Final = SUB_BUCKETS.bit_length() - 1


def add_packet(tables: Tables, layers: Layers, counters: Counters) -> None:
    """Count an IP packet for the prefixes of its source and of its destination."""
    length = u64(layers.length)
    source = _aggregate(tables, layers.source, counters, is_ipv6=layers.is_ipv6)
    if source is not None:
        source.sent_packets += 1
        source.sent_bytes += length
        _add_kind(source, layers, length)
    destination = _aggregate(tables, layers.destination, counters, is_ipv6=layers.is_ipv6)
    if destination is not None:
        destination.received_packets += 1
        destination.received_bytes += length
        _add_kind(destination, layers, length)


def _add_kind(aggregate: Aggregate, layers: Layers, length: u64) -> None:
    aggregate.ecn[layers.traffic_class & 3] += 1
    if layers.protocol == Protocol.TCP:
        aggregate.tcp_packets += 1
        aggregate.tcp_bytes += length
    elif layers.protocol == Protocol.UDP:
        aggregate.udp_packets += 1
        aggregate.udp_bytes += length
    elif layers.protocol in (Protocol.ICMP, Protocol.ICMPV6):
        aggregate.icmp_packets += 1
        aggregate.icmp_bytes += length
    else:
        aggregate.other_packets += 1
        aggregate.other_bytes += length


def add_rtt(tables: Tables, key: FlowKey, replier: u32, rtt: u64, counters: Counters) -> None:
    """Count an RTT for the prefix of the reply's source or destination. `replier`: 0 is the low endpoint."""
    by_source = tables.options.aggregate_by == "source"
    is_low = (replier == 0) == by_source
    address = key.low if is_low else key.high
    aggregate = _aggregate(tables, address, counters, is_ipv6=key.is_ipv6)
    if aggregate is None:
        return
    if aggregate.rtt_count == 0 or rtt < aggregate.rtt_min:
        aggregate.rtt_min = rtt
    aggregate.rtt_max = max(aggregate.rtt_max, rtt)
    aggregate.rtt_sum += rtt
    aggregate.rtt_count += 1
    bucket = bucket_of(rtt)
    if bucket < BUCKETS:
        aggregate.histogram[bucket] += 1


def bucket_of(rtt: u64) -> u32:
    """Return the bucket of an RTT: the doubling that it is in, and the part of that."""
    if rtt < 1 << FIRST_OCTAVE:
        return 0
    octave = _log2(rtt)
    part = u32(rtt >> u64(octave - _SUB_BITS)) & (SUB_BUCKETS - 1)
    return min((octave - FIRST_OCTAVE) * SUB_BUCKETS + part, BUCKETS - 1)


def _log2(value: u64) -> u32:
    """Return the place of the highest bit, by halving: BPF has no instruction for it."""
    place: u32 = 0
    half: u32 = 32
    while half != 0:
        if value >> u64(half) != 0:
            value >>= u64(half)
            place += half
        half >>= 1
    return place


def _aggregate(tables: Tables, address: Address, counters: Counters, *, is_ipv6: bool) -> Aggregate | None:
    """Return this CPU's sums for the prefix of an address, in the active set."""
    prefix = Prefix()
    _take_prefix(prefix, address, tables.options, is_ipv6=is_ipv6)
    active = tables.active.value & 1
    if active == 0:
        found = tables.aggregates[0].lookup(prefix)
        if found is None:
            tables.aggregates[0].update(prefix, tables.empty.value, _NEW_ONLY)
            found = tables.aggregates[0].lookup(prefix)
    else:
        found = tables.aggregates[1].lookup(prefix)
        if found is None:
            tables.aggregates[1].update(prefix, tables.empty.value, _NEW_ONLY)
            found = tables.aggregates[1].lookup(prefix)
    if found is None:
        counters.prefixes_refused += 1
        found = tables.backup.lookup(active * 2 + (1 if is_ipv6 else 0))
    return found


def _take_prefix(prefix: Prefix, address: Address, options: RttOptions, *, is_ipv6: bool) -> None:
    if is_ipv6:
        prefix.address[0] = be64(u64(address.high) & options.masks_v6[0])
        prefix.address[1] = be64(u64(address.low) & options.masks_v6[1])
    else:
        prefix.address[1] = be64(u64(address.low) & options.mask_v4)
