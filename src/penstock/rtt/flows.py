"""Passive ping: the time from a packet to the first one that answers it, per flow and direction.

After Nichols' pping and ePPing (Sundberg et al., "Efficient Continuous Latency Monitoring with eBPF", PAM
2023): a TCP packet carries its sender's clock, the TSval, and the receiver sends it back, as TSecr (RFC
7323). So the time from the first packet with a TSval to the first with that TSecr is the RTT between here
and the receiver. Echo requests and replies have a sequence number to that effect.

Which packets are timed decides whether that is true:

- Only the first packet with a TSval. Clocks tick once a millisecond on most systems, so that many packets
  share a value, and a later one would make the RTT too short by up to a tick. The first packet seen of a flow
  that began unseen may not be the first with its TSval either: the next tick is waited for.
- None without data, SYN or FIN. The TSval of a pure ACK is echoed by whatever the other side sends next,
  which may take as long as it likes. If a pure ACK is the first with a TSval, data with the same TSval is not
  timed: the echo may be that of the ACK.
- Retransmissions have a TSval of their own, and so has their echo (RFC 7323, 4: no ambiguity), unless they
  are sent within the same tick. Those are not timed again; the RTT is that since the first transmission, too
  long by less than a tick if that one was lost.
- After a loss, receivers echo the TSval of the last packet in sequence until the gap is filled (RFC 7323,
  4.3). What was sent behind the gap is never echoed, and its slot is free when a newer TSval is. If the
  packet that fills the gap shares its tick with a timed one from behind it, that RTT is too long by less than
  a tick.
- A delayed ACK echoes the earliest packet that it acknowledges: its delay is in the RTT, as it is for TCP.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from penstock.lang import Array, Packet, atomic, helpers, i32, u8, u16, u32, u64
from penstock.net import tcp
from penstock.net.ethernet import Link
from penstock.net.ip import Layers, Protocol
from penstock.rtt.aggregation import add_packet, add_rtt
from penstock.rtt.events import send_change, send_rtt
from penstock.rtt.options import RttOptions
from penstock.rtt.records import Counters, EventKind, Reason, Trigger
from penstock.rtt.segment import Segment, Use, read_segment
from penstock.rtt.tables import Direction, Flow, FlowKey, State, Tables

_NEW_ONLY: Final = 1  # BPF_NOEXIST

_TIME_BITS: Final = 40
"""Bits of a slot that hold the time, ns: RTTs of up to 18 minutes."""
_TIME: Final = (1 << _TIME_BITS) - 1
_TAG: Final = (1 << 64 - _TIME_BITS) - 1
"""The identifier's lowest bits fill the rest of a slot: 4.6 hours of TSvals that tick once a millisecond."""

_EXPIRY: Final = 10_000_000_000
"""ns after which a timed packet gives up its slot to another; until then it may still be answered."""


class Way(IntEnum):
    """Which way packets pass the interface where a program is attached."""

    INGRESS = 0
    EGRESS = 1


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
    return u16(segment.source_port) <= u16(segment.destination_port)


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
        return
    flow = entry.flow
    own, other = flow.directions[side & 1], flow.directions[(side ^ 1) & 1]
    if not tables.options.syn and segment.flags & tcp.SYN != 0:
        _note_handshake(flow, side, own, other, segment)
        return
    flow.seen = tables.clock.value
    own.packets += 1
    own.bytes += u64(segment.payload)
    _open(tables, key, side, flow, own, other, segment, counters)
    _measure(tables, way, key, side, own, other, entry.slots, segment, counters)
    if segment.flags & (tcp.FIN | tcp.RST) != 0:
        _close(tables, key, side, own, other, segment.flags)
    if own.state == State.CLOSED and other.state == State.CLOSED and segment.flags & tcp.FIN == 0:
        forget(tables, key, flow, counters)


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


def _note_handshake(flow: Flow, side: u32, own: Direction, other: Direction, segment: Segment) -> None:
    """Take from a SYN-ACK that is not timed what it tells of its flow, maybe a new one by an old name."""
    own.newest = segment.value
    other.newest = segment.echo
    other.echoed = segment.echo
    now = helpers.ktime_get_ns()
    if own.state == State.EMPTY and other.state == State.EMPTY:
        flow.opener = side ^ 1
        flow.answered = 1
        _wait(own, Reason.SYN_ACK, now)
        _wait(other, Reason.SYN, now)


def _wait(direction: Direction, reason: Reason, now: u64) -> None:
    direction.reason = reason
    direction.opened = now
    direction.state = State.WAITING


def _open(
    tables: Tables,
    key: FlowKey,
    side: u32,
    flow: Flow,
    own: Direction,
    other: Direction,
    segment: Segment,
    counters: Counters,
) -> None:
    """Note the first packet of a direction that asks for an answer, and the answer to that of the other."""
    if own.state == State.EMPTY and segment.timed:
        now = helpers.ktime_get_ns()
        if segment.flags & tcp.SYN == 0:
            _wait(own, Reason.FIRST_PACKET, now)
        elif segment.flags & tcp.ACK == 0:
            _wait(own, Reason.SYN, now)
        else:
            _wait(own, Reason.SYN_ACK, now)
    if other.state != State.WAITING or segment.flags & tcp.RST != 0:
        return
    if atomic.compare_exchange(other.state, State.WAITING, State.OPEN) != State.WAITING:
        return
    if atomic.exchange(flow.counted, 1) == 0:
        counters.flows_created += 1
    if tables.options.flow_events:
        send_change(
            tables,
            key,
            side,
            kind=EventKind.OPENING,
            reason=other.reason,
            trigger=Trigger.DESTINATION,
            timestamp=other.opened,
        )


def _close(tables: Tables, key: FlowKey, side: u32, own: Direction, other: Direction, flags: u8) -> None:
    """FIN ends what its sender sends, RST ends both directions."""
    reset = flags & tcp.RST != 0
    reason: u8 = Reason.RST if reset else Reason.FIN
    if atomic.exchange(own.state, State.CLOSED) == State.OPEN and tables.options.flow_events:
        send_change(
            tables,
            key,
            side ^ 1,
            kind=EventKind.CLOSING,
            reason=reason,
            trigger=Trigger.DESTINATION,
            timestamp=helpers.ktime_get_ns(),
        )
    if reset and atomic.exchange(other.state, State.CLOSED) == State.OPEN and tables.options.flow_events:
        send_change(
            tables,
            key,
            side,
            kind=EventKind.CLOSING,
            reason=reason,
            trigger=Trigger.SOURCE,
            timestamp=helpers.ktime_get_ns(),
        )


def forget(tables: Tables, key: FlowKey, flow: Flow, counters: Counters) -> None:
    """Remove a flow from whichever table it is in. Whoever removes it counts it, so it counts once."""
    removed = tables.flows.delete(key) == 0 or tables.pending.delete(key) == 0
    if removed and flow.counted != 0:
        counters.flows_closed += 1


def _measure(
    tables: Tables,
    way: Way,
    key: FlowKey,
    side: u32,
    own: Direction,
    other: Direction,
    slots: Array[u64],
    segment: Segment,
    counters: Counters,
) -> None:
    """Match what the packet echoes, time what it offers; read the clock only if one of them comes about."""
    start = _is_to_be_timed(own, segment, key.protocol)
    place = _place(slots, side ^ 1, segment.echo)
    held = _held_for_echo(other, slots[place], segment.echo, key.protocol)
    if not start and held == 0:
        return
    now = helpers.ktime_get_ns()
    if held != 0 and atomic.compare_exchange(slots[place], held, 0) == held:
        counters.rtts += 1
        _report(tables, way, key, side, own, other, (now - held) & _TIME, now, counters)
    if start and _is_due(own, now, tables.options) and not _ends_here(tables, way, key, side):
        _start(own, slots, side, segment.value, now, counters)


def _is_to_be_timed(own: Direction, segment: Segment, protocol: u8) -> bool:
    """Whether the packet is the first with its identifier, and asks for an answer. Notes the identifier."""
    newest = own.newest
    begins = segment.flags & tcp.SYN != 0 and segment.value != newest
    if segment.value == 0 or not (begins or _is_newer(segment.value, newest, protocol)):
        return False
    own.newest = segment.value
    if begins:
        own.echoed = 0  # of an earlier flow of the same name
    return segment.timed and (begins or newest != 0 or protocol != Protocol.TCP)


def _is_newer(identifier: u32, newest: u32, protocol: u8) -> bool:
    """Compare TSvals by serial arithmetic (RFC 7323, 5.2). Echo sequences may start over: others are new."""
    if protocol != Protocol.TCP:
        return identifier != newest
    return newest == 0 or i32(identifier - newest) > 0


def _place(slots: Array[u64], side: u32, identifier: u32) -> u64:
    """Return the slot of an identifier: TSvals that follow one another have slots that do."""
    half = len(slots) // 2
    return u64(side & 1) * half + (u64(identifier) & (half - 1))


def _held_for_echo(timed: Direction, held: u64, echo: u32, protocol: u8) -> u64:
    """Return what a slot holds if this is the first echo of it, else 0. Notes the echo."""
    if echo in (0, timed.echoed):
        return 0
    if _is_newer(echo, timed.echoed, protocol):
        timed.echoed = echo
    return held if held != 0 and u32(held >> _TIME_BITS) == echo & _TAG else 0


def _is_due(own: Direction, now: u64, options: RttOptions) -> bool:
    """Whether the sampling rule allows another RTT of this direction, as ePPing's does."""
    if options.rtt_rate:
        rtt = own.min_rtt if options.rtt_type == "min" else own.smoothed_rtt
        if rtt != 0:
            return now - own.timed >= (rtt * options.rtt_rate_fixed) >> 12
    if options.rate_limit:
        return now - own.timed >= options.rate_limit
    return True


def _ends_here(tables: Tables, way: Way, key: FlowKey, side: u32) -> bool:
    """Whether the packet is for this host and that is not wanted. ePPing asks the routing table each time."""
    if tables.options.local or way == Way.EGRESS:
        return False
    return tables.own.lookup(key.high if side == 0 else key.low) is not None


def _start(
    own: Direction, slots: Array[u64], side: u32, identifier: u32, now: u64, counters: Counters
) -> None:
    """Take the packet's slot, unless it holds one that may still be answered."""
    place = _place(slots, side, identifier)
    held = slots[place]
    if held != 0 and _is_awaited(held, own.echoed) and (now - held) & _TIME < _EXPIRY:
        counters.slots_busy += 1
        return
    taken = u64(identifier) << _TIME_BITS | now & _TIME
    if atomic.compare_exchange(slots[place], held, taken) == held:
        own.timed = now


def _is_awaited(held: u64, echoed: u32) -> bool:
    """Whether nothing newer was echoed, after which an answer will not come any more."""
    return echoed == 0 or i32((u32(held >> _TIME_BITS) - echoed) << (32 - 24)) > 0


def _report(
    tables: Tables,
    way: Way,
    key: FlowKey,
    side: u32,
    own: Direction,
    other: Direction,
    rtt: u64,
    now: u64,
    counters: Counters,
) -> None:
    """Enter the RTT of the other direction, which this packet answered, and pass it on."""
    if other.min_rtt == 0 or rtt < other.min_rtt:
        other.min_rtt = rtt
    smoothed = other.smoothed_rtt
    other.smoothed_rtt = rtt if smoothed == 0 else smoothed - (smoothed >> 3) + (rtt >> 3)  # RFC 6298, 2.3
    if tables.options.aggregate:
        add_rtt(tables, key, side, rtt, counters)
    if tables.options.rtt_events:
        send_rtt(tables, key, side, timed=other, reply=own, now=now, rtt=rtt, on_egress=way == Way.EGRESS)
