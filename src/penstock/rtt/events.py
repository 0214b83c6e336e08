"""Events: from the programs through a ring buffer to Python."""

from __future__ import annotations

from typing import Final

from penstock.lang import u8, u32, u64
from penstock.rtt.records import Counters, Event, EventKind, Reason, Trigger
from penstock.rtt.tables import Flow, FlowKey, Tables

_NO_WAKEUP: Final = 1
_FORCE_WAKEUP: Final = 2


def send_rtt(
    tables: Tables,
    key: FlowKey,
    replier: u32,
    flow: Flow,
    counters: Counters,
    *,
    now: u64,
    rtt: u64,
    on_egress: bool,
) -> None:
    """Report an RTT. `replier`: 0 if the reply came from the low endpoint, 1 if from the high one."""
    flags = _wake_by_amount(tables, counters)
    event = tables.events.reserve()
    if event is None:
        return
    timed, reply = flow.directions[(replier ^ 1) & 1], flow.directions[replier & 1]
    _name(event, key, replier)
    event.timestamp = now
    event.rtt = rtt
    event.min_rtt = flow.histories[(replier ^ 1) & 1].min_rtt
    event.sent_packets = timed.packets
    event.sent_bytes = timed.bytes
    event.received_packets = reply.packets
    event.received_bytes = reply.bytes
    event.kind = EventKind.RTT
    event.reason = Reason.NONE
    event.trigger = Trigger.NONE
    event.on_egress = 1 if on_egress else 0
    tables.events.submit(event, flags)


def send_change(
    tables: Tables,
    key: FlowKey,
    replier: u32,
    counters: Counters,
    *,
    kind: EventKind,
    reason: u8,
    trigger: Trigger,
    timestamp: u64,
) -> None:
    """Report that a direction opened or closed. `replier` as in `send_rtt`: the one who receives it."""
    flags = _wake_by_amount(tables, counters)
    event = tables.events.reserve()
    if event is None:
        return
    _name(event, key, replier)
    event.timestamp = timestamp
    event.rtt = 0
    event.min_rtt = 0
    event.sent_packets = 0
    event.sent_bytes = 0
    event.received_packets = 0
    event.received_bytes = 0
    event.kind = kind
    event.reason = reason
    event.trigger = trigger
    event.on_egress = 0
    tables.events.submit(event, flags)


def _name(event: Event, key: FlowKey, source: u32) -> None:
    if source == 0:
        event.source = key.low
        event.destination = key.high
        event.source_port = key.low_port
        event.destination_port = key.high_port
    else:
        event.source = key.high
        event.destination = key.low
        event.source_port = key.high_port
        event.destination_port = key.low_port
    event.protocol = key.protocol
    event.family = 6 if key.is_ipv6 else 4
    event.reserved[0] = 0
    event.reserved[1] = 0
    event.ifindex = key.ifindex


def _wake_by_amount(tables: Tables, counters: Counters) -> u64:
    """Count an event; return the flags that wake the reader after each so many.

    The reader looks by itself now and then: a wake-up for each event would cost more than the rest of it.
    """
    counters.events += 1
    return _NO_WAKEUP if counters.events & (tables.events_per_wakeup - 1) != 0 else _FORCE_WAKEUP
