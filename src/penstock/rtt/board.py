"""What the live view knows: recent RTTs and rates of the flows that said something lately."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from penstock.rtt.naming import Events, Flow, flow_keys, name_flow, reverse_key
from penstock.rtt.records import EventKind

FLOWS: Final = 4096
"""Flow directions remembered; those that were silent for longest go first."""

RECENT: Final = 256
"""RTTs of a flow direction that its median and p95 are of."""

HISTORY: Final = 60
"""Ticks of which the highest RTT is remembered."""

_SECOND: Final = 1_000_000_000
RATE_SPAN: Final = _SECOND
IDLE: Final = 3 * _SECOND
FORGOTTEN: Final = 20 * _SECOND


@dataclass
class FlowState:
    """One direction of a flow on one interface. Times and RTTs in ns, rates per second.

    0 in `history`: there was no RTT.
    """

    flow: Flow
    interface: int
    last: int = 0
    minimum: int = 0
    median: int = 0
    p95: int = 0
    packet_rate: float = 0.0
    byte_rate: float = 0.0
    seen: int = 0
    closed: bool = False
    history: deque[int] = field(default_factory=lambda: deque[int](maxlen=HISTORY))
    recent: deque[int] = field(default_factory=lambda: deque[int](maxlen=RECENT))
    highest: int = 0
    counted: tuple[int, int] = (0, 0)
    reference: tuple[int, int, int] | None = None

    def rtt(self, at: int, rtt: int, minimum: int, packets: int, size: int) -> None:
        """Take in an RTT seen at time `at`, and the packets and bytes that the flow had by then."""
        self.seen, self.last, self.minimum, self.closed = at, rtt, minimum, False
        self.highest = max(self.highest, rtt)
        self.counted = (packets, size)
        self.recent.append(rtt)
        if self.reference is None:
            self.reference = (at, packets, size)

    def tick(self, now: int) -> None:
        """Begin the next step of the history."""
        if self.highest:
            ordered = sorted(self.recent)
            self.median, self.p95 = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
        self.history.append(self.highest)
        self.highest = 0
        self._update_rates(now)

    def _update_rates(self, now: int) -> None:
        assert self.reference is not None
        since, packets, size = self.reference
        if now - self.seen > IDLE:
            self.packet_rate = self.byte_rate = 0.0
        elif self.seen - since >= RATE_SPAN:
            seconds = (self.seen - since) / _SECOND
            self.packet_rate = max(self.counted[0] - packets, 0) / seconds
            self.byte_rate = max(self.counted[1] - size, 0) / seconds
            self.reference = (self.seen, *self.counted)


SORTS: Final[dict[str, Callable[[FlowState], float]]] = {
    "rate": lambda state: state.byte_rate,
    "packets": lambda state: state.packet_rate,
    "rtt": lambda state: state.median,
    "p95": lambda state: state.p95,
    "rise": lambda state: state.median / max(state.minimum, 1),
}
"""What flows may be sorted by, the highest first; `rise` is the median over the minimum: queues, mostly."""


class Board:
    """All flow directions, by interface and by what tells them apart there."""

    def __init__(self) -> None:
        self.flows: dict[tuple[int, bytes], FlowState] = {}

    def update(self, events: Events) -> None:
        """Take in events, in their order."""
        names = ("ifindex", "kind", "timestamp", "rtt", "min_rtt")
        counters = (events[f"sent_{what}"] + events[f"received_{what}"] for what in ("packets", "bytes"))
        columns = (*(events[name] for name in names), *counters)
        rows = zip(flow_keys(events), *(column.tolist() for column in columns), strict=True)
        for key, interface, kind, *figures in rows:
            if kind == EventKind.RTT:
                state = self.flows.get((interface, key)) or self._add(interface, key)
                state.rtt(*figures)
            elif kind == EventKind.CLOSING:
                both = (interface, key), (interface, reverse_key(key))
                for state in filter(None, map(self.flows.get, both)):
                    state.closed = True

    def tick(self, now: int) -> None:
        """Begin the next step of every history at `now`, ns, monotonic; forget what was silent for long."""
        self.flows = {key: state for key, state in self.flows.items() if now - state.seen < FORGOTTEN}
        for state in self.flows.values():
            state.tick(now)

    def top(self, count: int, sort: str) -> list[FlowState]:
        """Return the first `count` by one of SORTS."""
        return heapq.nlargest(count, self.flows.values(), key=SORTS[sort])

    def _add(self, interface: int, key: bytes) -> FlowState:
        if len(self.flows) >= FLOWS:
            oldest = heapq.nsmallest(FLOWS // 4, self.flows, key=lambda key: self.flows[key].seen)
            for each in oldest:
                del self.flows[each]
        self.flows[interface, key] = state = FlowState(name_flow(key), interface)
        return state
