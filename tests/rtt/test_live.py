from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from penstock.errors import PenstockError
from penstock.rtt import board as board_module
from penstock.rtt.board import FORGOTTEN, HISTORY, IDLE, RECENT, SORTS, Board
from penstock.rtt.live import Screen
from penstock.rtt.naming import Flow
from penstock.rtt.records import EventKind
from penstock.rtt.totals import Totals
from penstock.rtt.view import duration, fit, line, quantity, render
from tests.rtt.events import event, many, together

SECOND = 1_000_000_000
TOTALS = Totals(
    seconds=83.2,
    packets=1_234_567,
    rtts=4567,
    events=4600,
    flows_seen=45,
    flows_now=11,
    flows_room=131_072,
    lost=0,
    evicted=0,
    refused=0,
    busy=0,
    truncated=0,
    without=0,
    unanswered=0,
    prefixes=0,
)


def state_of(*rtts: int, **fields: Any) -> Any:
    """A flow with one RTT a tick; 0 is none."""
    board = Board()
    for i, rtt in enumerate(rtts):
        if rtt:
            board.update(
                event(**{"timestamp": i * SECOND, "rtt": rtt, "min_rtt": min(filter(None, rtts))} | fields)
            )
        board.tick(i * SECOND)
    (state,) = board.flows.values()
    return state


class TestBoard:
    def test_figures(self) -> None:
        board = Board()
        board.update(together(*(event(rtt=rtt, min_rtt=1) for rtt in (5, 1, 3, 2, 4))))
        board.tick(0)
        (state,) = board.flows.values()
        assert (state.last, state.minimum, state.median, state.p95) == (4, 1, 3, 5)
        assert list(state.history) == [5]
        assert state.flow == Flow("10.0.0.1", 443, "10.0.0.2", 51234, "TCP")

    def test_directions_are_flows_of_their_own(self) -> None:
        board = Board()
        there = {"source": "10.0.0.1", "destination": "10.0.0.2", "source_port": 1, "destination_port": 2}
        back = {"source": "10.0.0.2", "destination": "10.0.0.1", "source_port": 2, "destination_port": 1}
        board.update(together(event(**there), event(**back)))
        assert len(board.flows) == 2

    def test_interfaces_have_flows_of_their_own(self) -> None:
        board = Board()
        board.update(together(event(ifindex=1, rtt=3), event(ifindex=2, rtt=7)))
        board.update(event(ifindex=2, kind=EventKind.CLOSING))
        found = [(state.interface, state.last, state.closed) for state in board.flows.values()]
        assert found == [(1, 3, False), (2, 7, True)]

    def test_rates_are_those_of_the_last_second(self) -> None:
        board = Board()
        for i in range(31):  # 100 packets and 10 kB each tenth of a second, both ways together
            counters = {
                "sent_packets": 60 * i,
                "received_packets": 40 * i,
                "sent_bytes": 9000 * i,
                "received_bytes": 1000 * i,
            }
            board.update(event(timestamp=i * SECOND // 10, **counters))
            board.tick(i * SECOND // 10)
        (state,) = board.flows.values()
        assert state.packet_rate == pytest.approx(1000)
        assert state.byte_rate == pytest.approx(100_000)
        board.tick(state.seen + IDLE + 1)
        assert state.byte_rate == 0

    def test_silent_flows_are_forgotten(self) -> None:
        board = Board()
        board.update(event(timestamp=SECOND))
        board.tick(SECOND + FORGOTTEN - 1)
        assert board.flows
        board.tick(SECOND + FORGOTTEN)
        assert not board.flows

    def test_closed_flows_are_marked_both_ways(self) -> None:
        board = Board()
        names = {"source": "10.0.0.1", "destination": "10.0.0.2", "source_port": 1, "destination_port": 2}
        reverse = {"source": "10.0.0.2", "destination": "10.0.0.1", "source_port": 2, "destination_port": 1}
        board.update(together(event(**names), event(**reverse), event(kind=EventKind.CLOSING, **names)))
        assert [state.closed for state in board.flows.values()] == [True, True]
        board.update(event(**names))
        assert [state.closed for state in board.flows.values()] == [False, True]

    def test_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(board_module, "FLOWS", 100)
        board = Board()
        events = many(5000, flows=1000)
        board.update(events)
        for _ in range(HISTORY + 5):
            board.tick(int(events["timestamp"][-1]))
        assert len(board.flows) <= 100
        latest = int(events["timestamp"][-50])
        assert sum(state.seen >= latest for state in board.flows.values()) >= 40, "recent flows stay"
        assert max(len(state.history) for state in board.flows.values()) == HISTORY
        assert max(len(state.recent) for state in board.flows.values()) <= RECENT

    @pytest.mark.parametrize("sort", SORTS)
    def test_highest_first(self, sort: str) -> None:
        board = Board()
        for second in (0, 2):
            board.update(
                together(
                    *(
                        event(
                            timestamp=second * SECOND,
                            destination_port=n,
                            rtt=n * n,
                            min_rtt=n,
                            sent_packets=second * n,
                            sent_bytes=second * n,
                        )
                        for n in (2, 9, 5)
                    )
                )
            )
            board.tick(second * SECOND)
        assert [state.flow.destination_port for state in board.top(2, sort)] == [9, 5]

    def test_a_rise_is_above_the_minimum(self) -> None:
        board = Board()
        board.update(
            together(event(source_port=1, rtt=100, min_rtt=90), event(source_port=2, rtt=50, min_rtt=5))
        )
        board.tick(0)
        assert [state.flow.source_port for state in board.top(2, "rise")] == [2, 1]


class TestCells:
    @pytest.mark.parametrize(
        ("rtt", "text"),
        [
            (1, "0.00µs"),
            (999, "1.00µs"),
            (12_345, "12.3µs"),
            (812_000, "812µs"),
            (999_949, "1.00ms"),
            (25_300_000, "25.3ms"),
            (1_250_000_000, "1.25s"),
            (61_000_000_000, "61.0s"),
        ],
    )
    def test_duration(self, rtt: int, text: str) -> None:
        assert duration(rtt) == text

    @given(st.integers(0, 999_000_000_000))
    def test_no_duration_is_too_wide(self, rtt: int) -> None:
        assert len(duration(rtt)) <= 6

    @given(st.floats(0, 9e14))
    def test_no_rate_is_too_wide(self, rate: float) -> None:
        assert len(quantity(rate)) <= 6

    @pytest.mark.parametrize(
        ("rate", "text"), [(0, "0"), (999.4, "999"), (16_000, "16.0k"), (94.1e6, "94.1M")]
    )
    def test_quantity(self, rate: float, text: str) -> None:
        assert quantity(rate) == text

    def test_line(self) -> None:
        text = line(state_of(100, 0, 150, 200, 300), 8)
        assert text.plain == "   ▁ ▃▅█"
        assert [span.style for span in text.spans] == ["green", "yellow", "red"]

    def test_noise_is_flat(self) -> None:
        assert set(line(state_of(100, 105, 110, 108), 4).plain) == {"▁"}

    def test_line_shows_the_latest(self) -> None:
        assert line(state_of(900, 100, 100), 2).plain == "▁▁"

    def test_names(self) -> None:
        flow = Flow("192.168.100.10", 443, "10.0.0.2", 51234, "TCP")
        assert fit(flow, 60) == "192.168.100.10:443 → 10.0.0.2:51234"
        assert fit(flow, 34) == "192.168.100.10:443→10.0.0.2:51234"
        assert fit(flow, 30) == "192.1…00.10:443→10.0.0.2:51234"
        assert fit(flow._replace(protocol="ICMP", source_port=7), 60) == "192.168.100.10 → 10.0.0.2 ICMP 7"

    @given(st.ip_addresses().map(str), st.ip_addresses().map(str), st.integers(32, 100))
    def test_names_fit(self, source: str, destination: str, columns: int) -> None:
        assert len(fit(Flow(source, 65535, destination, 65535, "TCP"), columns)) <= columns


def shown(
    board: Board,
    width: int,
    height: int,
    totals: Totals = TOTALS,
    interfaces: Sequence[str] = ("eth0",),
    **console: Any,
) -> str:
    out = io.StringIO()
    target = Console(file=out, width=width, height=height, **console)
    target.print(render(board, totals, interfaces=interfaces, sort="rate", size=target.size))
    return out.getvalue()


class TestScreen:
    @pytest.fixture
    def board(self) -> Board:
        board = Board()
        for _ in range(70):
            board.update(many(200, flows=40, seed=1))
            board.tick(10**12)
        return board

    @pytest.mark.parametrize("width", [80, 100, 132, 200])
    @pytest.mark.parametrize("height", [10, 24, 60])
    @pytest.mark.parametrize("interfaces", [["eth0"], ["eth0", "veth-15-letters"]])
    def test_fits(self, board: Board, width: int, height: int, interfaces: list[str]) -> None:
        lines = shown(board, width, height, interfaces=interfaces).splitlines()
        assert len(lines) == min(height, 4 + 40)
        assert max(len(each.rstrip()) for each in lines) <= width
        assert all(re.search("[▁▂▃▄▅▆▇█]", each) for each in lines[4:])

    def test_each_of_several_interfaces_is_named(self) -> None:
        board = Board()
        board.update(event(ifindex=1))
        board.tick(0)
        assert re.search(
            r"^lo +10\.0\.0\.1:443", shown(board, 100, 24, interfaces=["lo", "eth0"]), re.MULTILINE
        )

    def test_losses_are_shown(self, board: Board) -> None:
        assert "nothing missed" in shown(board, 80, 24)
        lossy = Totals(**{**TOTALS.__dict__, "lost": 1234})
        assert "1,234 events lost" in shown(board, 80, 24, lossy)

    def test_no_color(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "\x1b[32m" in shown(board, 80, 24, force_terminal=True, color_system="standard")
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b[32m" not in shown(board, 80, 24, force_terminal=True, color_system="standard")

    def test_without_flows(self) -> None:
        assert "peaks" in shown(Board(), 80, 24)

    def test_needs_a_terminal(self) -> None:
        with pytest.raises(PenstockError, match="--live needs a terminal"):
            Screen("rate")
