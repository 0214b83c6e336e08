"""`penstock bench queue` measures, and a queue is not far from forwarding without one."""

import json

import pytest
from click.testing import CliRunner

from penstock.bench.queue import speeds
from penstock.cli.main import main


def test_each_case() -> None:
    cases = ["redirect", "kernel", "bypass", "queued_fifo", "queued_random", "drain", "poll", "fq_codel"]
    found = {speed.case: speed for speed in speeds(cases, [64], rounds=3)}
    assert list(found) == cases
    for speed in found.values():
        assert 0.05 < speed.mpps < 100
        assert speed.of_redirect == pytest.approx(speed.mpps / found["redirect"].mpps, abs=0.001)
    assert found["kernel"].of_kernel == 1
    assert found["bypass"].of_redirect > 0.6
    assert found["queued_fifo"].of_redirect > 0.4


def test_json() -> None:
    arguments = ["bench", "queue", "--json", "--cases", "redirect,fifo", "--sizes", "1500", "--rounds", "1"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    results = json.loads(ended.output)["results"]
    assert [(each["case"], each["size"]) for each in results] == [("redirect", 1500), ("fifo", 1500)]
    assert results[0].keys() >= {"mpps", "of_redirect", "of_kernel"}
    assert results[1]["of_kernel"] is None


def test_what_a_pifo_takes() -> None:
    arguments = ["bench", "queue", "--cases", "queued_fifo,queued_random", "--sizes", "64", "--rounds", "1"]
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == 0, ended.output
    took = json.loads(ended.output)["push_pop_ns"]
    assert took.keys() == {"queued_fifo", "queued_random"}
    assert all(1 < ns < 500 for ns in took.values())
    assert took["queued_fifo"] < 1.25 * took["queued_random"]  # the first bucket is never far from the last


def test_no_such_case() -> None:
    ended = CliRunner().invoke(main, ["bench", "queue", "--cases", "fiffo", "--rounds", "1"])
    assert ended.exit_code == 1
    assert "no scheduler fiffo: did you mean fifo" in ended.output
