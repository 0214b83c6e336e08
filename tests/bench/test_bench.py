"""The benchmarks measure, and what they find is within the targets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.bench.reader import OUTPUTS, intakes
from penstock.bench.rtt import ROUNDS, WINDOWS, costs
from penstock.cli.main import main


@pytest.mark.parametrize(("ingress", "first"), [("tc", "ingress"), ("xdp", "ingress_xdp")])
def test_each_program_in_each_case(ingress: str, first: str) -> None:
    given = {"traffic": "small", "flows": (1, 3), "rate_limits": (0, 100), "seconds": 1, "ingress": ingress}
    found = list(costs(**given))
    cases = [(flows, limit, name) for flows in (1, 3) for limit in (0, 100) for name in (first, "egress")]
    assert [(cost.flows, cost.rate_limit_ms, cost.program) for cost in found] == cases
    for cost in found:
        assert 5 < cost.empty_ns_per_packet < cost.ns_per_packet < 100_000
        assert cost.packets_per_second > 100
        assert cost.rtts_per_second > 0
        assert cost.events_lost == 0
        assert 0 < cost.reader_cpu < 1
        if cost.rate_limit_ms == 100:
            assert cost.rtts_per_second <= 2 * cost.flows * (10 + ROUNDS * WINDOWS / given["seconds"])


@pytest.mark.slow
def test_time_per_packet() -> None:
    given = {"traffic": "bulk", "flows": (10, 1000), "rate_limits": (0, 100), "seconds": 3, "ingress": "tc"}
    for cost in costs(**given):
        assert cost.ns_per_packet <= (200 if (cost.flows, cost.rate_limit_ms) == (10, 100) else 300), cost


def test_the_reader_takes_in_half_a_million_events_a_second() -> None:
    found = list(intakes([550_000]))
    assert [intake.output for intake in found] == list(OUTPUTS)
    arrays, lines = found
    assert arrays.lost == 0
    assert arrays.read_per_second == arrays.offered_per_second > 500_000
    assert lines.read_per_second > 100_000


def test_json() -> None:
    arguments = ["bench", "rtt", "--json", "--flows", "1", "--rate-limits", "100", "--seconds", "0.5"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.output)
    assert [(each["flows"], each["rate_limit_ms"], each["program"]) for each in found["results"]] == [
        (1, 100, "ingress"),
        (1, 100, "egress"),
    ]
    assert found["results"][0].keys() >= {"ns_per_packet", "rtts_per_second", "events_lost", "reader_cpu"}
    assert {each["output"] for each in found["reader"]} == set(OUTPUTS)


def test_a_list_of_flows_must_be_one() -> None:
    ended = CliRunner().invoke(main, ["bench", "rtt", "--flows", "1,x"])
    assert ended.exit_code == 2
    assert "'1,x' is no list of numbers from 1 on, such as 1,10,100" in ended.output


def test_without_root() -> None:
    command = ["setpriv", "--reuid=65534", "--clear-groups", _penstock(), "bench", "rtt"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 1
    assert "needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root" in ended.stderr
    assert ended.stderr.count("\n") == 1


def _penstock() -> str:
    assert os.geteuid() == 0
    return str(Path(sys.executable).with_name("penstock"))
