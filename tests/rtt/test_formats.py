from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rtt.aggregates import Report, Rtts, Traffic
from penstock.rtt.clock import WallClock
from penstock.rtt.formats import FORMATS, Aggregation, Format
from penstock.rtt.naming import Flow, flow_keys, name_flow
from penstock.rtt.records import EventKind, Reason, Trigger
from tests.rtt.events import event, many, together

OFFSET = 1_732_387_200_000_000_000  # 2024-11-23 18:40:00 UTC
AGGREGATION = Aggregation(seconds=10, prefix_v4=24, prefix_v6=48, buckets=416)
OPENING = {"kind": EventKind.OPENING, "reason": Reason.SYN_ACK, "trigger": Trigger.DESTINATION}
REPORT = Report(
    prefix="10.0.0.0/24",
    sent=Traffic(12, 3456),
    received=Traffic(7, 890),
    protocols={
        "TCP": Traffic(15, 4000),
        "UDP": Traffic(0, 0),
        "ICMP": Traffic(4, 346),
        "other": Traffic(0, 0),
    },
    ecn=(16, 0, 2, 1),
    rtts=Rtts(
        3, 24_900_000, 25_000_000.25, 25e6, 25.1e6, 25.12e6, 25_300_000, [(24_117_248, 1), (25_165_824, 2)]
    ),
)
IDLE = REPORT._replace(prefix="2001:db8::/48", rtts=None)

RTT: dict[str, Any] = {
    "timestamp": OFFSET + 5_000_000_123,
    "src_ip": "10.0.0.1",
    "src_port": 443,
    "dest_ip": "10.0.0.2",
    "dest_port": 51234,
    "protocol": "TCP",
    "rtt": 25_300_000,
    "min_rtt": 24_900_000,
    "sent_packets": 10,
    "sent_bytes": 1000,
    "rec_packets": 9,
    "rec_bytes": 900,
    "match_on_egress": True,
}
CHANGE: dict[str, Any] = {
    **dict(list(RTT.items())[:6]),
    "flow_event": "opening",
    "reason": "SYN-ACK",
    "triggered_by": "dest",
}


@pytest.fixture(autouse=True)
def known_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(WallClock, "offset", lambda _: OFFSET)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def make(name: str) -> Format:
    return FORMATS[name]()


class TestStandard:
    def test_rtt(self) -> None:
        line = "18:40:05.000000123 25.3 ms 24.9 ms TCP 10.0.0.1:443+10.0.0.2:51234\n"
        assert make("standard").events(event()) == line

    def test_ipv6_and_icmp(self) -> None:
        line = "18:40:05.000000123 25.3 ms 24.9 ms ICMPv6 2001:db8::1:77+fe80::2:77\n"
        ping = event(
            source="2001:db8::1", destination="fe80::2", source_port=77, destination_port=77, protocol=58
        )
        assert make("standard").events(ping) == line

    @pytest.mark.parametrize(
        ("rtt", "text"),
        [
            (0, "0"),
            (1, "1e-06"),
            (123, "0.000123"),
            (1_234_567, "1.23457"),
            (999_999_999, "1000"),
            (61_234_567_890, "61234.6"),
        ],
    )
    def test_six_digits_of_a_millisecond(self, rtt: int, text: str) -> None:
        assert f" {text} ms 24.9 ms " in make("standard").events(event(rtt=rtt))

    @pytest.mark.parametrize(
        ("kind", "reason", "trigger", "text"),
        [
            (EventKind.OPENING, Reason.SYN, Trigger.SOURCE, "opening due to SYN from src"),
            (EventKind.OPENING, Reason.SYN_ACK, Trigger.DESTINATION, "opening due to SYN-ACK from dest"),
            (
                EventKind.OPENING,
                Reason.FIRST_PACKET,
                Trigger.SOURCE,
                "opening due to first observed packet from src",
            ),
            (EventKind.CLOSING, Reason.FIN, Trigger.DESTINATION, "closing due to FIN from dest"),
            (EventKind.CLOSING, Reason.RST, Trigger.SOURCE, "closing due to RST from src"),
            (
                EventKind.CLOSING,
                Reason.TIMEOUT,
                Trigger.NONE,
                "closing due to flow timeout from garbage collection",
            ),
        ],
    )
    def test_flow_events(self, kind: EventKind, reason: Reason, trigger: Trigger, text: str) -> None:
        change = event(kind=kind, reason=reason, trigger=trigger)
        expected = f"18:40:05.000000123 TCP 10.0.0.1:443+10.0.0.2:51234 {text}\n"
        assert make("standard").events(change) == expected

    def test_reports(self) -> None:
        assert make("standard").reports(5_000_000_123, [REPORT, IDLE]) == (
            "18:40:05.000000123: 10.0.0.0/24 -> rxpkts=12, rxbytes=3456, txpkts=7, txbytes=890, rtt-count=3, "
            "min=24.9 ms, mean=25 ms, median=25 ms, p95=25.1 ms, p99=25.12 ms, max=25.3 ms, "
            "TCP=(pkts=15, bytes=4000), ICMP=(pkts=4, bytes=346), ECN=(Not-ECT=16, ECT0=2, CE=1)\n"
            "18:40:05.000000123: 2001:db8::/48 -> rxpkts=12, rxbytes=3456, txpkts=7, txbytes=890, "
            "TCP=(pkts=15, bytes=4000), ICMP=(pkts=4, bytes=346), ECN=(Not-ECT=16, ECT0=2, CE=1)\n"
        )
        assert make("standard").begin(AGGREGATION) == (
            "Aggregating RTTs in histograms with 416 log-linear bins every 10 seconds\n"
        )


class TestJson:
    def test_fields_in_their_order(self) -> None:
        rtt, change = make("jsonl").events(together(event(), event(**OPENING))).splitlines()
        assert list(json.loads(rtt).items()) == list(RTT.items())
        assert list(json.loads(change).items()) == list(CHANGE.items())

    def test_events_stay_in_order(self) -> None:
        events = together(*(event(timestamp=i, **(OPENING if i % 3 else {})) for i in range(20)))
        found = [json.loads(line) for line in make("jsonl").events(events).splitlines()]
        assert [each["timestamp"] - OFFSET for each in found] == list(range(20))
        assert [("flow_event" in each) for each in found] == [bool(i % 3) for i in range(20)]

    def test_several_interfaces_are_told_apart(self) -> None:
        lines = FORMATS["jsonl"](several=True).events(together(event(ifindex=1), event(ifindex=0, **OPENING)))
        assert [json.loads(line)["interface"] for line in lines.splitlines()] == ["lo", "0"]

    @pytest.mark.parametrize("batches", [[], [0], [1], [3, 0, 1]])
    def test_the_array_is_whole_at_the_end(self, batches: list[int]) -> None:
        out = make("json")
        for _ in range(2):  # and begins anew in a file opened again
            text = out.begin() + "".join(out.events(np.repeat(event(), n)) for n in batches) + out.end()
            assert json.loads(text) == [RTT] * sum(batches)

    def test_reports(self) -> None:
        out = make("json")
        text = out.begin(AGGREGATION) + out.reports(5_000_000_123, [REPORT, IDLE]) + out.end()
        about, full, idle = json.loads(text)
        assert list(about) == [
            "timestamp",
            "bins",
            "aggregation_interval_ns",
            "ipv4_prefix_len",
            "ipv6_prefix_len",
        ]
        assert full == {
            "timestamp": OFFSET + 5_000_000_123,
            "ip_prefix": "10.0.0.0/24",
            "rx_stats": {"packets": 12, "bytes": 3456},
            "tx_stats": {"packets": 7, "bytes": 890},
            "protocol_counters": {
                "TCP": {"packets": 15, "bytes": 4000},
                "ICMP": {"packets": 4, "bytes": 346},
            },
            "ecn_counters": {"no_ECT": 16, "ECT1": 0, "ECT0": 2, "CE": 1},
            "count_rtt": 3,
            "min_rtt": 24_900_000,
            "mean_rtt": 25_000_000.2,
            "median_rtt": 25e6,
            "p95_rtt": 25.1e6,
            "p99_rtt": 25.12e6,
            "max_rtt": 25_300_000,
            "histogram": [[24_117_248, 1], [25_165_824, 2]],
        }
        assert "count_rtt" not in idle


class TestPpViz:
    def test_seconds_without_loss(self) -> None:
        line = "1732387205.000000123 0.025300000 0.024900000 10.0.0.1:443+10.0.0.2:51234\n"
        assert make("ppviz").events(event()) == line

    def test_no_flow_events(self) -> None:
        assert make("ppviz").events(event(**OPENING)) == ""

    def test_no_reports(self) -> None:
        with pytest.raises(TypeError, match="no aggregated output"):
            make("ppviz").reports(0, [REPORT])


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(0, 65535)


@given(
    addresses, ports, addresses, ports, st.sampled_from([(6, "TCP"), (1, "ICMP"), (58, "ICMPv6"), (17, "17")])
)
def test_flows_are_named_by_what_they_are(
    source: str, port: int, destination: str, other: int, protocol: tuple[int, str]
) -> None:
    record = event(
        source=source, destination=destination, source_port=port, destination_port=other, protocol=protocol[0]
    )
    (key,) = flow_keys(record)
    mapped = "::ffff:"  # an IPv6 text of a mapped address is IPv4 to us
    expected = Flow(source, port, destination, other, protocol[1])
    if not source.startswith(mapped) and not destination.startswith(mapped):
        assert name_flow(key) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_speed(name: str) -> None:
    events, out, took = many(50_000, flows=1000), make(name), []
    for _ in range(5):
        start = time.process_time()
        out.events(events)
        took.append(time.process_time() - start)
    assert len(events) / min(took) > 300_000


def test_wall_clock_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    now = {"monotonic": 10**9, "wall": 5 * 10**9}
    monkeypatch.setattr(time, "monotonic_ns", lambda: now["monotonic"])
    monkeypatch.setattr(time, "time_ns", lambda: now["wall"])
    clock = WallClock()
    assert clock.offset() == 4 * 10**9
    now["wall"] += 7  # somebody sets the clock
    assert clock.offset() == 4 * 10**9
    now["monotonic"] += 10**9
    now["wall"] += 10**9
    assert clock.offset() == 4 * 10**9 + 7
