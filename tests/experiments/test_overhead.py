"""What RTTs cost in the kernel, and what they cost in user space."""

import pytest

from penstock.experiments import find, report
from tests.experiments.browser import check_report

FLOWS = 10
WHO = ("nothing", "rtt_0ms", "rtt_100ms", "pcap")


@pytest.fixture(scope="module")
def result():
    options = {"duration": "1s", "runs": "1", "flows": str(FLOWS), "rate_limits": "0ms,100ms"}
    return find("overhead")(**options).run(lambda _: None)


@pytest.fixture(scope="module")
def rows(result):
    return {row["case"].removesuffix(f"_{FLOWS}"): row for row in result.results}


def test_there_is_a_row_for_each_who_measures_and_for_nobody(result, rows):
    assert [row["case"] for row in result.results] == [f"{who}_{FLOWS}" for who in WHO]
    assert all(row["flows"] == FLOWS for row in rows.values())
    assert "processed_percent" not in rows["nothing"]


def test_the_machine_does_all_that_it_can(rows):
    assert all(row["cpu_percent"] > 75 for row in rows.values())
    assert rows["nothing"]["goodput_mbps"] > 500


def test_penstock_sees_every_packet_and_leaves_most_of_the_goodput(rows):
    for who in ("rtt_0ms", "rtt_100ms"):
        assert rows[who]["processed_percent"] > 99
        assert rows[who]["goodput_mbps"] > 0.7 * rows["nothing"]["goodput_mbps"]
        assert rows[who]["own_cpu_percent"] < 15


def test_a_capture_takes_more_for_each_packet(rows):
    assert rows["pcap"]["cpu_per_packet_ns"] > 1.15 * rows["rtt_0ms"]["cpu_per_packet_ns"]
    assert rows["pcap"]["own_cpu_percent"] > 2 * rows["rtt_0ms"]["own_cpu_percent"]


def test_a_rate_limit_is_kept(rows):
    """At most one RTT in 100 ms for each flow; of the flows' ACKs, which have no data, there are none."""
    assert 0.5 * FLOWS * 10 < rows["rtt_100ms"]["rtts_per_second"] < 1.2 * FLOWS * 10
    for who in ("rtt_0ms", "pcap"):
        assert rows[who]["rtts_per_second"] > 2 * rows["rtt_100ms"]["rtts_per_second"]


def test_its_report(result, tmp_path):
    assert set(result.as_json()["series"]) == {"goodput", "cpu", "processed", "rtts"}
    check_report(report.write(tmp_path, [result]), plots=4)
