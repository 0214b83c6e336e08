"""Floods through the wire, past `penstock rtt`, while hundreds of flows keep talking."""

from __future__ import annotations

import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from penstock.lab import exchange, flood
from penstock.lab.flooder import Kind
from tests.conftest import Middlebox
from tests.kernel.rtt_measure import Measurement

FLOWS = 300
MILLION = 1_000_000
MOST = 60.0  # s that a flood may take on a busy machine


class Flooded:
    """Flows that talk before, during and after a flood, and what penstock told of them."""

    def __init__(
        self,
        middlebox: Middlebox,
        folder: Path,
        table: int,
        kind: Kind,
        *,
        port: int = 9,
        packets: int = MILLION,
    ) -> None:
        a, b = middlebox.a, middlebox.b
        middlebox.m.route("100.64.0.0/10", a.address(4))  # answers to the flood go where it comes from
        options = ("--rate-limit=100ms", f"--flows={table}")
        with (
            Measurement(folder, middlebox.towards_a, options=options, capture=False) as measured,
            exchange(a, b, flows=FLOWS, seconds=2 * MOST, interval=0.25),
        ):
            time.sleep(1)
            out, to = a.interfaces[0], middlebox.towards_a
            done = flood(out, to, b.address(4), kind=kind, port=port, packets=packets, seconds=MOST)
            time.sleep(2)
        assert done.packets == packets, "all were sent in time"
        self.talking = a.address(4)
        self.objects, self.numbers, self.totals = measured.objects, measured.numbers, measured.errors

    def assert_nobody_was_pushed_out(self) -> None:
        """Each flow opens once, keeps its counters all the time, is measured to its end, and closes once."""
        events: Counter[tuple[int, str]] = Counter()
        counts: dict[int, tuple[int, int]] = {}
        last: Counter[int] = Counter()
        for each in self.objects:
            if self.talking not in {each["src_ip"], each["dest_ip"]}:
                continue
            port = each["src_port"] if each["src_ip"] == self.talking else each["dest_port"]
            if "flow_event" in each:
                events[port, each["flow_event"]] += 1
            elif each["dest_ip"] == self.talking:
                count = each["sent_packets"], each["sent_bytes"]
                assert counts.get(port, (0, 0)) <= count, "a flow's counters never start over"
                counts[port], last[port] = count, each["timestamp"]
        assert len(last) == FLOWS
        assert max(last.values()) - min(last.values()) < 2_000_000_000, "RTTs go on to the end"
        assert set(events.values()) == {2}, "each direction of each flow opens once and closes once"
        assert self.numbers["flows"] == FLOWS
        assert self.numbers["RTTs"] > 20 * FLOWS
        assert "flows evicted" not in self.numbers


@pytest.mark.slow
@pytest.mark.parametrize("table", [4096, 131_072])
def test_a_million_syn_packets_that_are_answered_push_nobody_out(
    middlebox: Middlebox, tmp_path: Path, table: int
) -> None:
    with middlebox.b.enter():
        listener = socket.create_server((middlebox.b.address(4), 0))
    with listener:  # it has SYN cookies: there is an answer to all of them
        flooded = Flooded(middlebox, tmp_path, table, "syn", port=listener.getsockname()[1])
    flooded.assert_nobody_was_pushed_out()
    assert flooded.numbers["flows unanswered"] >= 0.99 * MILLION


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["syn", "udp"])
def test_a_million_packets_that_begin_no_flow_push_nobody_out(
    middlebox: Middlebox, tmp_path: Path, kind: Kind
) -> None:
    flooded = Flooded(middlebox, tmp_path, 4096, kind)
    flooded.assert_nobody_was_pushed_out()
    assert flooded.totals.endswith("; nothing missed\n")


@pytest.mark.slow
def test_segments_of_unknown_flows_push_nobody_out_and_are_counted(
    middlebox: Middlebox, tmp_path: Path
) -> None:
    flooded = Flooded(middlebox, tmp_path, 4096, "data", packets=MILLION // 4)
    flooded.assert_nobody_was_pushed_out()
    assert flooded.numbers["flows unanswered"] == MILLION // 4
