"""How the directions of a flow open and close, as ePPing tells it."""

from __future__ import annotations

from penstock.lang import atomic, helpers, u8, u32, u64
from penstock.net import tcp
from penstock.rtt.events import send_change
from penstock.rtt.records import Counters, EventKind, Reason, Trigger
from penstock.rtt.segment import Segment
from penstock.rtt.tables import Flow, FlowKey, State, Tables


def note_handshake(flow: Flow, side: u32, segment: Segment) -> None:
    """Take from a SYN-ACK that is not timed what it tells of its flow, maybe a new one by an old name."""
    own, other = flow.directions[side & 1], flow.directions[(side ^ 1) & 1]
    own.newest, own.echoed = segment.value, 0
    other.newest, other.echoed = segment.echo, segment.echo
    now = helpers.ktime_get_ns()
    if own.state == State.EMPTY and other.state == State.EMPTY:
        flow.opener = side ^ 1
        flow.answered = 1
        _wait(flow, side, Reason.SYN_ACK, now)
        _wait(flow, side ^ 1, Reason.SYN, now)


def open_directions(
    tables: Tables, key: FlowKey, side: u32, flow: Flow, segment: Segment, counters: Counters
) -> None:
    """Note the first packet of a direction that asks for an answer, and the answer to that of the other."""
    if flow.directions[side & 1].state == State.EMPTY and segment.timed:
        _wait(flow, side, _opening_reason(segment.flags), helpers.ktime_get_ns())
    other = flow.directions[(side ^ 1) & 1]
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
            counters,
            kind=EventKind.OPENING,
            reason=flow.reasons[(side ^ 1) & 1],
            trigger=Trigger.DESTINATION,
            timestamp=flow.histories[(side ^ 1) & 1].opened,
        )


def _opening_reason(flags: u8) -> u8:
    if flags & tcp.SYN == 0:
        return Reason.FIRST_PACKET
    return u8(Reason.SYN) if flags & tcp.ACK == 0 else u8(Reason.SYN_ACK)


def _wait(flow: Flow, side: u32, reason: u8, now: u64) -> None:
    direction = flow.directions[side & 1]
    flow.reasons[side & 1] = reason
    direction.state = State.WAITING
    flow.histories[side & 1].opened = now


def close(tables: Tables, key: FlowKey, side: u32, flow: Flow, segment: Segment, counters: Counters) -> None:
    """End what the sender of a FIN sends, or both directions for a reset; forget flows that have ended.

    After a FIN from both sides the flow stays until the last ACK.
    """
    if segment.flags & (tcp.FIN | tcp.RST) != 0:
        reason: u8 = Reason.FIN if segment.flags & tcp.RST == 0 else Reason.RST
        _close(tables, key, side, flow, reason, Trigger.DESTINATION, counters)
        if reason == Reason.RST:
            _close(tables, key, side ^ 1, flow, reason, Trigger.SOURCE, counters)
    if segment.flags & tcp.FIN == 0 and _is_over(flow):
        forget(tables, key, flow, counters)


def _close(
    tables: Tables, key: FlowKey, side: u32, flow: Flow, reason: u8, trigger: Trigger, counters: Counters
) -> None:
    old = atomic.exchange(flow.directions[side & 1].state, State.CLOSED)
    if old == State.OPEN and tables.options.flow_events:
        send_change(
            tables,
            key,
            side ^ 1,
            counters,
            kind=EventKind.CLOSING,
            reason=reason,
            trigger=trigger,
            timestamp=helpers.ktime_get_ns(),
        )


def _is_over(flow: Flow) -> bool:
    return flow.directions[0].state == State.CLOSED and flow.directions[1].state == State.CLOSED


def forget(tables: Tables, key: FlowKey, flow: Flow, counters: Counters) -> None:
    """Remove a flow from whichever table it is in. Whoever removes it counts it, so it counts once."""
    removed = tables.flows.delete(key) == 0 or tables.pending.delete(key) == 0
    if removed and flow.counted != 0:
        counters.flows_closed += 1
