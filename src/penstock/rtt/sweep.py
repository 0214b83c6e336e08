"""Flows that have been silent for too long are closed by a program that Python runs now and then."""

from __future__ import annotations

from typing import Final

from penstock.lang import Struct, helpers, i64, syscall, u32, u64
from penstock.lang.program import Program
from penstock.net.ip import Protocol
from penstock.rtt.events import send_change
from penstock.rtt.lifecycle import forget
from penstock.rtt.records import Counters, EventKind, Reason, Trigger
from penstock.rtt.tables import TICK, Entry, Flow, FlowKey, State, Tables

# The times are those of ePPing: bpf-examples, pping/pping_kern.c.
TCP_TIMEOUT: Final = 300_000_000_000 // TICK
ICMP_TIMEOUT: Final = 30_000_000_000 // TICK
UNANSWERED_TIMEOUT: Final = 30_000_000_000 // TICK


class _Sweep(Struct):
    """A sweep in progress: its time, in ticks and in ns, and what it has left."""

    ticks: u64
    now: u64
    flows: u64
    candidates: u64


def sweep_program(tables: Tables) -> Program:
    """Return the program that closes what timed out, and counts what is left."""

    def visit(key: FlowKey, entry: Entry, state: _Sweep) -> int:
        _visit(tables, key, entry.flow, state)
        return 0

    @syscall
    def sweep() -> int:
        state = _Sweep(ticks=helpers.jiffies64(), now=helpers.ktime_get_ns())
        tables.flows.for_each(visit, state)
        tables.pending.for_each(visit, state)
        tables.occupancy.value.flows = state.flows
        tables.occupancy.value.candidates = state.candidates
        return 0

    return sweep


def _visit(tables: Tables, key: FlowKey, flow: Flow, state: _Sweep) -> None:
    silent = i64(state.ticks - flow.seen)  # below 0 if a packet came since the sweep began
    if flow.seen != 0 and silent > _timeout(key, flow):
        counters = tables.counters.lookup(0)
        if counters is not None:
            _time_out(tables, key, 0, flow, state.now, counters)
            _time_out(tables, key, 1, flow, state.now, counters)
            forget(tables, key, flow, counters)
    elif flow.counted != 0:
        state.flows += 1
    else:
        state.candidates += 1


def _timeout(key: FlowKey, flow: Flow) -> i64:
    if flow.counted == 0:
        return UNANSWERED_TIMEOUT
    return TCP_TIMEOUT if key.protocol == Protocol.TCP else ICMP_TIMEOUT


def _time_out(tables: Tables, key: FlowKey, side: u32, flow: Flow, now: u64, counters: Counters) -> None:
    """Report the end of a direction. `side`: 0 if the low endpoint sends."""
    if flow.directions[side & 1].state == State.OPEN and tables.options.flow_events:
        send_change(
            tables,
            key,
            side ^ 1,
            counters,
            kind=EventKind.CLOSING,
            reason=Reason.TIMEOUT,
            trigger=Trigger.NONE,
            timestamp=now,
        )
