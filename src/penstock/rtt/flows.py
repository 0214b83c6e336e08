"""The way of a packet: which flow it belongs to, and what is done with it there."""

from __future__ import annotations

from typing import Final

from penstock.lang import Packet, helpers, u16, u32, u64
from penstock.net import tcp
from penstock.net.ethernet import Link
from penstock.net.ip import Layers
from penstock.rtt.aggregation import add_packet
from penstock.rtt.lifecycle import close, note_handshake, open_directions
from penstock.rtt.ping import Way, measure
from penstock.rtt.records import Counters
from penstock.rtt.segment import Segment, Use, read_segment
from penstock.rtt.tables import Flow, FlowKey, Tables

_NEW_ONLY: Final = 1  # BPF_NOEXIST


def follow(packet: Packet, way: Way, link: Link, tables: Tables) -> None:
    """Do everything for one packet."""
    counters = tables.counters.lookup(0)
    if counters is None:
        return
    counters.packets += 1
    layers = Layers()
    segment = Segment()
    use = read_segment(packet, link, tables.options, layers, segment)
    if tables.options.aggregate and use not in (Use.NOT_IP, Use.CUT):
        add_packet(tables, layers, counters)
    if use != Use.RTT:
        _count_unused(counters, use)
    elif tables.options.syn or segment.flags & (tcp.SYN | tcp.ACK) != tcp.SYN:
        key = FlowKey(ifindex=packet.ifindex, protocol=layers.protocol, is_ipv6=layers.is_ipv6)
        side = _name_endpoints(key, layers, segment)
        _follow_flow(tables, way, key, side, segment, counters)


def _count_unused(counters: Counters, use: u32) -> None:
    if use == Use.NO_TIMESTAMP:
        counters.no_timestamp += 1
    elif use == Use.OTHER:
        counters.other += 1
    elif use == Use.NOT_IP:
        counters.not_ip += 1
    else:
        counters.truncated += 1


def _name_endpoints(key: FlowKey, layers: Layers, segment: Segment) -> u32:
    """Enter the endpoints into the key; return the sender's place in it: 0 if it is the low one."""
    if _is_from_low(layers, segment):
        key.low = layers.source
        key.high = layers.destination
        key.low_port = segment.source_port
        key.high_port = segment.destination_port
        return 0
    key.low = layers.destination
    key.high = layers.source
    key.low_port = segment.destination_port
    key.high_port = segment.source_port
    return 1


def _is_from_low(layers: Layers, segment: Segment) -> bool:
    if layers.source.low != layers.destination.low:
        return u64(layers.source.low) < u64(layers.destination.low)
    if layers.source.high != layers.destination.high:
        return u64(layers.source.high) < u64(layers.destination.high)
    if segment.source_port != segment.destination_port:
        return u16(segment.source_port) < u16(segment.destination_port)
    return segment.echo == 0  # a host pings itself: its requests are from the low endpoint


def _follow_flow(
    tables: Tables, way: Way, key: FlowKey, side: u32, segment: Segment, counters: Counters
) -> None:
    """Find the flow, or make it a candidate if the packet may begin one; then go on with it."""
    entry = tables.flows.lookup(key)
    if entry is None:
        entry = tables.pending.lookup(key)
        if entry is None:
            if not _may_begin(segment):
                return
            counters.candidates += 1
            tables.pending.update(key, tables.blank.value, _NEW_ONLY)
            entry = tables.pending.lookup(key)
            if entry is not None:
                entry.flow.opener = side
        elif _is_proven(entry.flow, side, segment):
            tables.flows.update(key, entry, _NEW_ONLY)
            tables.pending.delete(key)
            entry = tables.flows.lookup(key)
    if entry is None:
        counters.flows_refused += 1
    elif segment.flags & tcp.SYN != 0 and not tables.options.syn:
        note_handshake(entry.flow, side, segment)
    else:
        entry.flow.seen = helpers.jiffies64()
        own = entry.flow.directions[side & 1]
        own.packets += 1
        own.bytes += u64(segment.payload)
        open_directions(tables, key, side, entry.flow, segment, counters)
        measure(tables, way, key, side, entry, segment, counters)
        close(tables, key, side, entry.flow, segment, counters)


def _may_begin(segment: Segment) -> bool:
    """Whether a packet that belongs to no flow begins one: pure ACKs and what ends flows do not.

    A SYN-ACK always does, so that the TSvals of a handshake are known even if they are not timed.
    """
    return (segment.timed or segment.flags & tcp.SYN != 0) and segment.flags & (tcp.FIN | tcp.RST) == 0


def _is_proven(flow: Flow, side: u32, segment: Segment) -> bool:
    """Whether the opener of a pending flow has got its answer, as it shows by going on.

    Who forges its address gets none: such a flow stays pending, also if the other side replies.
    """
    if side != flow.opener:
        flow.answered = 1
        return False
    return flow.answered != 0 and segment.flags & tcp.SYN == 0
