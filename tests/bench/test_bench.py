"""The benchmarks measure: short runs, whose figures are no targets."""

import json

from click.testing import CliRunner

from penstock.bench.reader import intakes
from penstock.cli.main import main


def test_rtt_reports_each_program_in_each_case() -> None:
    arguments = ["bench", "rtt", "--json", "--flows", "1,3", "--rate-limits", "0,100", "--seconds", "1"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    results = json.loads(ended.output)["results"]
    cases = {(each["flows"], each["rate_limit_ms"], each["program"]) for each in results}
    assert cases == {(f, limit, p) for f in (1, 3) for limit in (0, 100) for p in ("ingress", "egress")}
    for each in results:
        assert 20 < each["ns_per_packet"] < 100_000
        assert each["packets_per_second"] > 100
        assert each["rtts_per_second"] > 0
        if each["rate_limit_ms"] == 100:
            assert each["rtts_per_second"] <= 2 * 10.5 * each["flows"]


def test_the_reader_takes_in_half_a_million_events_a_second() -> None:
    (taken,) = intakes([500_000], seconds=2)
    assert taken.lost == 0
    assert taken.read_per_second > 0.95 * taken.offered_per_second > 0.9 * 500_000


def test_a_list_of_flows_must_be_one() -> None:
    ended = CliRunner().invoke(main, ["bench", "rtt", "--flows", "1,x"])
    assert ended.exit_code == 2
    assert "'1,x' is no list of numbers from 1 on, such as 1,10,100" in ended.output
