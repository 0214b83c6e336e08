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

from penstock.lang import Array, atomic, helpers, i32, u8, u32, u64
from penstock.net import tcp
from penstock.net.ip import Protocol
from penstock.rtt.aggregation import add_rtt
from penstock.rtt.events import send_rtt
from penstock.rtt.options import RttOptions
from penstock.rtt.records import Counters
from penstock.rtt.segment import Segment
from penstock.rtt.tables import TICK, Direction, Entry, Flow, FlowKey, Tables

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


def measure(
    tables: Tables, way: Way, key: FlowKey, side: u32, entry: Entry, segment: Segment, counters: Counters
) -> None:
    """Match what the packet echoes, time what it offers; read the clock only if one of them comes about."""
    flow, timed = entry.flow, entry.slots[(side ^ 1) & 1]
    own, other = flow.directions[side & 1], flow.directions[(side ^ 1) & 1]
    is_timed = _is_to_be_timed(own, segment, key.protocol) and not _is_early(own, flow.seen, tables.options)
    held: u64 = 0
    place = _place(timed, segment.echo)
    if _is_first_echo(other, segment.echo, key.protocol):
        held = _held_for(timed[place], segment.echo)
    if not is_timed and held == 0:
        return
    now = helpers.ktime_get_ns()
    if held != 0 and atomic.compare_exchange(timed[place], held, 0) == held:
        _report(tables, way, key, side, flow, (now - held) & _TIME, now, counters)
    if is_timed and _is_due(flow, side, now, tables.options) and not _ends_here(tables, way, key, side):
        _start(own, entry.slots[side & 1], segment.value, now, counters)


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


def _is_first_echo(timed: Direction, echo: u32, protocol: u8) -> bool:
    """Whether an identifier may be echoed for the first time. Notes the echo."""
    if echo in (0, timed.echoed):
        return False
    if _is_newer(echo, timed.echoed, protocol):
        timed.echoed = echo
    return True


def _place(slots: Array[u64], identifier: u32) -> u64:
    """Return the slot of an identifier: TSvals that follow one another have slots that do."""
    return u64(identifier) & (len(slots) - 1)


def _held_for(held: u64, echo: u32) -> u64:
    """Return what a slot holds if it is for the packet that is echoed, else 0."""
    return held if held != 0 and u32(held >> _TIME_BITS) == echo & _TAG else 0


def _is_early(own: Direction, ticks: u64, options: RttOptions) -> bool:
    """Whether the kernel's ticks show that another RTT is not due: they cost nothing, the clock 35 ns."""
    if options.rtt_rate or options.rate_limit < TICK:
        return False
    return own.timed != 0 and u32(ticks) - own.timed_tick < options.rate_limit // TICK


def _is_due(flow: Flow, side: u32, now: u64, options: RttOptions) -> bool:
    """Whether the sampling rule allows another RTT of this direction, as ePPing's does."""
    last = flow.directions[side & 1].timed
    if options.rtt_rate:
        history = flow.histories[side & 1]
        rtt = history.min_rtt if options.rtt_type == "min" else history.smoothed_rtt
        if rtt != 0:
            return now - last >= (rtt * options.rtt_rate_fixed) >> 12
    if options.rate_limit:
        return now - last >= options.rate_limit
    return True


def _ends_here(tables: Tables, way: Way, key: FlowKey, side: u32) -> bool:
    """Whether the packet is for this host and that is not wanted. ePPing asks the routing table each time."""
    if tables.options.local or way == Way.EGRESS:
        return False
    return tables.own.lookup(key.high if side == 0 else key.low) is not None


def _start(own: Direction, slots: Array[u64], identifier: u32, now: u64, counters: Counters) -> None:
    """Take the packet's slot, unless it holds one that may still be answered."""
    place = _place(slots, identifier)
    held = slots[place]
    if held != 0 and _is_awaited(held, own.echoed) and (now - held) & _TIME < _EXPIRY:
        counters.slots_busy += 1
        return
    taken = u64(identifier) << _TIME_BITS | now & _TIME
    if atomic.compare_exchange(slots[place], held, taken) == held:
        own.timed = now
        own.timed_tick = u32(helpers.jiffies64())


def _is_awaited(held: u64, echoed: u32) -> bool:
    """Whether nothing newer was echoed, after which an answer will not come any more."""
    return echoed == 0 or i32((u32(held >> _TIME_BITS) - echoed) << (32 - 24)) > 0


def _report(
    tables: Tables, way: Way, key: FlowKey, side: u32, flow: Flow, rtt: u64, now: u64, counters: Counters
) -> None:
    """Enter the RTT of the other direction, which this packet answered, and pass it on."""
    counters.rtts += 1
    history = flow.histories[(side ^ 1) & 1]
    if history.min_rtt == 0 or rtt < history.min_rtt:
        history.min_rtt = rtt
    old = history.smoothed_rtt
    history.smoothed_rtt = rtt if old == 0 else old - (old >> 3) + (rtt >> 3)  # RFC 6298, 2.3
    if tables.options.aggregate:
        add_rtt(tables, key, side, rtt, counters)
    if tables.options.rtt_events:
        send_rtt(tables, key, side, flow, counters, now=now, rtt=rtt, on_egress=way == Way.EGRESS)
