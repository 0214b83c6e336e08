from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.lab import Host, bulk, exchange, ping
from tests.conftest import Middlebox

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
TOTALS = re.compile(
    r"penstock: (\d+) RTTs of (\d+) packets in [\d.]+ s, (\d+) events; "
    r"(\d+) flows, (\d+) now in a table of (\d+); nothing missed(; \d+ TCP packets without timestamps)?\n"
)


class Run:
    """`penstock rtt`, running on a host, attached."""

    def __init__(self, host: Host, *arguments: str, **options: Any) -> None:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = host.popen([PENSTOCK, "rtt", *arguments], **(pipes | options))
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "measuring on" in line, line + self.process.stderr.read()

    def stop(self, number: signal.Signals = signal.SIGINT) -> str:
        self.process.send_signal(number)
        return self.wait()

    def wait(self, status: int = 0) -> str:
        out, self.errors = self.process.communicate(timeout=20)
        assert self.process.returncode == status, self.errors
        return out


def fails(host: Host, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    process = host.popen(
        [*prefix, PENSTOCK, "rtt", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, errors = process.communicate(timeout=20)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def objects(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def rtts(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if "rtt" in each]


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
@pytest.mark.parametrize("version", [4, 6])
def test_every_reply_to_ping(middlebox: Middlebox, ingress: str, version: int) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--rate-limit", "0", "-f", "jsonl", "--ingress", ingress)
    ping(middlebox.a, middlebox.b, count=5, version=version)
    found = rtts(objects(run.stop()))
    a, b = (str(host.address(version)) for host in (middlebox.a, middlebox.b))
    there = [each for each in found if (each["src_ip"], each["dest_ip"]) == (b, a)]
    assert len(there) == 5
    for each in there:
        assert each["protocol"] == ("ICMP" if version == 4 else "ICMPv6")
        assert each["src_port"] == each["dest_port"] > 0
        assert 0 < each["min_rtt"] <= each["rtt"] < 1_000_000_000
        assert abs(each["timestamp"] / 1e9 - time.time()) < 20
        assert each["match_on_egress"] is True
    totals = TOTALS.fullmatch(run.errors)
    assert totals is not None, run.errors
    assert int(totals[1]) == len(found)


def test_flows_of_tcp(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "-f", "jsonl")
    exchange(middlebox.a, middlebox.b, flows=3, exchanges=5).wait()
    time.sleep(0.2)
    found = objects(run.stop())
    changes = [each for each in found if "flow_event" in each]
    opening = [each for each in changes if each["flow_event"] == "opening"]
    assert sorted(each["reason"] for each in opening) == ["SYN"] * 3 + ["SYN-ACK"] * 3
    closing = [each for each in changes if each["flow_event"] == "closing"]
    assert {each["reason"] for each in closing} <= {"FIN", "RST"}
    assert len(closing) == 6
    assert {each["protocol"] for each in found} == {"TCP"}
    totals = TOTALS.fullmatch(run.errors)
    assert totals is not None
    assert int(totals[4]) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_is_whole_however_it_ends(middlebox: Middlebox, number: signal.Signals) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--json", "--rate-limit=0")
    ping(middlebox.a, middlebox.b, count=2)
    assert len(rtts(json.loads(run.stop(number)))) >= 2


def test_duration(middlebox: Middlebox) -> None:
    start = time.monotonic()
    Run(middlebox.m, middlebox.towards_a.name, "--duration", "500ms").wait()
    assert 0.5 <= time.monotonic() - start < 3


def test_count(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--count", "3", "--rate-limit", "0")
    ping(middlebox.a, middlebox.b, count=5)
    assert len(run.wait().splitlines()) == 3


def test_lines_come_at_once(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "-f", "ppviz", "--rate-limit=0")
    ping(middlebox.a, middlebox.b, count=1)
    assert run.process.stdout is not None
    os.set_blocking(run.process.stdout.fileno(), False)
    time.sleep(0.2)
    line = run.process.stdout.readline()
    seconds, rtt, least, flow = line.split()
    assert abs(float(seconds) - time.time()) < 2
    assert 0 < float(least) <= float(rtt) < 1
    assert re.fullmatch(r"[\d.]+:\d+\+[\d.]+:\d+", flow)
    os.set_blocking(run.process.stdout.fileno(), True)
    run.stop()


def test_write_follows_logrotate(middlebox: Middlebox, tmp_path: Path) -> None:
    path, old = tmp_path / "rtt.json", tmp_path / "rtt.json.1"
    run = Run(
        middlebox.m, middlebox.towards_a.name, "--write", str(path), "-f", "json", "--rate-limit=0", "--icmp"
    )
    ping(middlebox.a, middlebox.b, count=2)
    time.sleep(0.2)
    path.rename(old)
    run.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    ping(middlebox.a, middlebox.b, count=3)
    assert run.stop() == ""
    assert [len(rtts(json.loads(each.read_text()))) for each in (old, path)] == [2, 3]


def test_bad_path_is_refused_first(middlebox: Middlebox, tmp_path: Path) -> None:
    done = fails(middlebox.m, middlebox.towards_a.name, "--write", str(tmp_path / "missing" / "a"))
    assert done.returncode == 1
    assert re.fullmatch(r"penstock: cannot write to \S+/missing/a: no such file or directory\n", done.stderr)


def test_no_such_interface(middlebox: Middlebox) -> None:
    wrong = middlebox.towards_a.name + "x"
    done = fails(middlebox.m, wrong, "--json")
    assert done.returncode == 1
    message = f"no interface {wrong}: did you mean {middlebox.towards_a.name}"
    assert done.stderr.startswith(f"penstock: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(done.stdout)["error"].startswith(message)


def test_without_rights(middlebox: Middlebox) -> None:
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    done = fails(middlebox.m, middlebox.towards_a.name, prefix=powerless)
    assert done.returncode == 1
    assert "lacks CAP_BPF and CAP_NET_ADMIN; run it as root" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_three_rights_are_enough(middlebox: Middlebox) -> None:
    three = ("setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon", "--inh-caps=-all")
    done = fails(middlebox.m, middlebox.towards_a.name, "--duration=1ms", prefix=three)
    assert done.returncode == 0, done.stderr


def test_several_interfaces_and_one_goes(middlebox: Middlebox) -> None:
    names = middlebox.towards_a.name, middlebox.towards_b.name
    run = Run(middlebox.m, *names, "-f", "jsonl", "--rate-limit=0")
    ping(middlebox.a, middlebox.b, count=3)
    middlebox.m.netlink.link("del", index=middlebox.towards_b.index)
    time.sleep(0.5)
    found = rtts(objects(run.stop()))
    assert len(found) >= 6
    assert f"penstock: {names[1]} is gone; still measuring on {names[0]}\n" in run.errors


def test_the_only_interface_goes(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--json")
    middlebox.m.netlink.link("del", index=middlebox.towards_a.index)
    assert json.loads(run.wait(status=1)) == []
    *_, totals, message = run.errors.splitlines(keepends=True)
    assert TOTALS.fullmatch(totals)
    assert message == f"penstock: {middlebox.towards_a.name} is gone: no interface is left to measure on\n"


def test_broken_pipe_is_quiet(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--rate-limit=0")
    assert run.process.stdout is not None
    run.process.stdout.close()
    ping(middlebox.a, middlebox.b, count=2)
    run.process.wait(timeout=10)
    assert run.process.stderr is not None
    assert run.process.stderr.read() == ""
    run.process.stderr.close()


def test_aggregates(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--aggregate=30", "-f", "jsonl", "--rate-limit=0")
    ping(middlebox.a, middlebox.b, count=20, interval=0.01)
    about, *found = objects(run.stop())
    assert about["aggregation_interval_ns"] == 30_000_000_000
    assert (about["ipv4_prefix_len"], about["ipv6_prefix_len"]) == (24, 48)
    networks = {each["ip_prefix"]: each for each in found}
    b = str(middlebox.b.address(4)).rpartition(".")[0] + ".0/24"
    a = str(middlebox.a.address(4)).rpartition(".")[0] + ".0/24"
    assert networks[b]["count_rtt"] == sum(count for _, count in networks[b]["histogram"]) == 20
    assert networks[b]["rx_stats"] == networks[b]["tx_stats"] == {"packets": 20, "bytes": 20 * 84}
    assert networks[b]["protocol_counters"] == {"ICMP": {"packets": 40, "bytes": 40 * 84}}
    assert networks[b]["ecn_counters"] == {"no_ECT": 40, "ECT1": 0, "ECT0": 0, "CE": 0}
    low, *between, high = (networks[b][f"{name}_rtt"] for name in ("min", "median", "p95", "p99", "max"))
    assert low <= between[0] <= between[1] <= between[2] <= high
    assert "count_rtt" not in networks[a]


def test_aggregates_of_each_interval(middlebox: Middlebox) -> None:
    run = Run(middlebox.m, middlebox.towards_a.name, "--aggregate=1", "-f", "jsonl", "--rate-limit=0")
    ping(middlebox.a, middlebox.b, count=250, interval=0.01)
    _, *found = objects(run.stop())
    b = str(middlebox.b.address(4)).rpartition(".")[0] + ".0/24"
    counts = [each["count_rtt"] for each in found if each["ip_prefix"] == b]
    assert len(counts) >= 3
    assert sum(counts) == 250, "nothing is lost or counted twice when the sets are swapped"


def test_networks_without_room_are_counted_together(middlebox: Middlebox) -> None:
    lines = Run(middlebox.m, middlebox.towards_a.name, "--aggregate=30", "--prefix-v4=0", "-f", "jsonl")
    ping(middlebox.a, middlebox.b, count=3)
    _, *found = objects(lines.stop())
    assert [each["tx_stats"]["packets"] for each in found if each["ip_prefix"] == "0.0.0.0/0"] == [6]


class TestLive:
    @staticmethod
    def start(middlebox: Middlebox, *arguments: str, **environment: str) -> tuple[Any, int]:
        ours, theirs = pty.openpty()
        process = middlebox.m.popen(
            [PENSTOCK, "rtt", middlebox.towards_a.name, "--live", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30", **environment},
        )
        os.close(theirs)
        return process, ours

    @staticmethod
    def read_until(terminal: int, pattern: str) -> str:
        text = ""
        end = time.monotonic() + 15
        while not re.search(pattern, text):
            assert time.monotonic() < end, text
            text += os.read(terminal, 1 << 16).decode()
        return text

    @pytest.mark.parametrize("end", ["q", signal.SIGINT])
    def test_flows_are_shown_until_the_end(self, middlebox: Middlebox, end: str | signal.Signals) -> None:
        process, terminal = self.start(middlebox)
        self.read_until(terminal, "nothing missed")
        with bulk(middlebox.a, middlebox.b, seconds=10, pacing=100_000):
            shown = self.read_until(
                terminal, rf"{middlebox.b.address(4)}:\d+ → {middlebox.a.address(4)}:\d+ "
            )
            assert "\x1b[32m" in shown, "in color"
        if isinstance(end, signal.Signals):
            process.send_signal(end)
        else:
            os.write(terminal, end.encode())
        rest = self.read_until(terminal, re.escape("\x1b[?1049l"))
        _, errors = process.communicate(timeout=10)
        os.close(terminal)
        assert process.returncode == 0
        assert TOTALS.fullmatch(errors)
        assert "Traceback" not in rest

    def test_no_color(self, middlebox: Middlebox) -> None:
        process, terminal = self.start(middlebox, NO_COLOR="1")
        shown = self.read_until(terminal, "nothing missed")
        assert not re.search(r"\x1b\[(\d+;)*3[0-7]m", shown)
        process.send_signal(signal.SIGTERM)
        self.read_until(terminal, re.escape("\x1b[?1049l"))
        process.communicate(timeout=10)
        os.close(terminal)

    def test_needs_a_terminal(self, middlebox: Middlebox) -> None:
        done = fails(middlebox.m, middlebox.towards_a.name, "--live")
        assert done.returncode == 1
        assert done.stderr == "penstock: --live needs a terminal: leave it out, or leave out the pipe\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'IFACE...'"),
        (["lo", "--format=xml"], "'xml' is not one of"),
        (["lo", "--json", "-f", "jsonl"], "--format and --json exclude each other"),
        (["lo", "--live", "--json"], "--live and --json exclude each other"),
        (["lo", "--sort=rtt"], "--sort does nothing without --live"),
        (["lo", "--prefix-v4=8"], "--prefix-v4 does nothing without --aggregate"),
        (["lo", "--prefix-v4=33", "--aggregate=1"], "33 is not in the range 0<=x<=32"),
        (["lo", "--xdp-mode=native"], "--xdp-mode does nothing without --ingress xdp"),
        (["lo", "-f", "ppviz", "--aggregate=1"], "ppviz"),
        (["lo", "--rate-limit=-1"], "'-1' is no time"),
        (["lo", "--duration=0"], "out of range"),
        (["lo", "--count=0"], "not in the range x>=1"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    done = subprocess.run([PENSTOCK, "rtt", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
