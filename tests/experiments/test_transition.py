"""Without a queue, a rate transition takes most of a link from TCP; with one, none of it."""

import pytest

from penstock.experiments import find, report
from penstock.experiments.buffer import buffer
from tests.experiments.browser import check_report

MBIT = 1_000_000
CASES = ["kernel", "xdp_shallow", "xdp_fifo", "xdp_fq_codel", "xdp_drr"]


@pytest.fixture(scope="module")
def result():
    return find("transition")(duration="2s", runs="1", sizes="1", extra="drr").run(lambda _: None)


@pytest.fixture(scope="module")
def shares(result):
    """Of the link, by case."""
    return {row["case"]: row["goodput_mbps"] / row["link_mbps"] for row in result.results}


def test_each_case_has_its_figures(result):
    assert [row["case"] for row in result.results] == CASES
    for row in result.results:
        assert set(row) == {"case", "goodput_mbps", "retransmitted_packets", "rtt_ms", "link_mbps"}
        assert row["link_mbps"] == pytest.approx(500 * 1448 / 1514)
        assert row["rtt_ms"] > 20


def test_the_kernel_uses_the_link_and_nothing_uses_more(shares):
    assert shares["kernel"] > 0.8  # its timers make up for less than the queues do, on a busy machine
    assert max(shares.values()) < 1.1


def test_without_a_queue_most_of_the_link_is_lost(shares):
    assert shares["xdp_shallow"] < 0.5


@pytest.mark.parametrize("case", ["xdp_fifo", "xdp_fq_codel"])
def test_with_a_queue_xdp_does_as_well_as_the_kernel(shares, case):
    assert shares[case] > 0.9
    assert shares[case] > 0.95 * shares["kernel"]


def test_the_larger_the_buffer_the_better(result):
    sizes = result.as_json()["series"]["goodput_over_buffers"]["XDP and a buffer"]
    assert sizes["x"] == [1, 16]
    one, shallow = sizes["y"]
    assert 2 * one < shallow


def test_sizes_go_up_to_twice_the_bandwidth_delay_product():
    assert list(find("transition")()._sizes()) == [1, 3, 12, 41, 140, 480, 1651]
    assert list(find("transition")(rate="1mbit", delay="0ms")._sizes()) == [1]


def test_goodput_over_time_begins_with_the_first_packet(result):
    lines = result.as_json()["series"]["goodput_over_time"]
    assert list(lines) == CASES
    for line in lines.values():
        assert line["x"][:2] == [0.1, 0.2]
        assert line["x"][-1] == pytest.approx(3, abs=0.1)
        assert line["y"][0] < 100


def test_its_report(result, tmp_path):
    check_report(report.write(tmp_path, [result]), plots=2)


@pytest.mark.parametrize("rate", [MBIT, 100 * MBIT, 500 * MBIT, 3_000 * MBIT])
@pytest.mark.parametrize("packets", [1, 2, 16, 100, 1651])
def test_slots_and_credit_make_up_a_buffer(packets, rate):
    options = buffer(packets, rate)
    credit = int(options["burst"].removesuffix("ns"))
    frame = 1514 * 8e9 / rate
    assert options["slots"] >= 1
    assert credit <= 1_000_000
    assert packets - 1 < options["slots"] + credit / frame < packets + 1
