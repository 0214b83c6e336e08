"""`penstock queue`, as a user runs it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.lab import Lab, bulk, ping
from penstock.lab.namespace import LabError
from penstock.lang import XDP_PASS, Xdp, xdp
from tests.kernel.network import xdp_programs

PENSTOCK = str(Path(sys.executable).with_name("penstock"))

MINE = """
from penstock.lang import u64
from penstock.queue import PacketPifo, Parameter, QueuedPacket, Scheduler, count


class Mine(Scheduler):
    '''Last in, first out.

    For a test.
    '''

    step = Parameter(count, "1", "how far ranks are apart")

    def setup(self) -> None:
        self.waiting = PacketPifo(self.packets)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.push(packet, 0 - now * self.step)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.waiting.pop()
"""


class Box:
    """A router between two hosts."""

    def __init__(self, lab: Lab) -> None:
        self.a, self.m, self.b = lab.host("a"), lab.router("m"), lab.host("b")
        end, self.source = lab.link(self.a, self.m)
        self.target, far = lab.link(self.m, self.b)
        for interface in (end, far):
            interface.offload(tx=False, tso=False, gso=False)
            interface.offload(gro=True)

    def run(self, scheduler: str, *arguments: str) -> subprocess.Popen[str]:
        process = self.start(scheduler, *arguments)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "Ctrl-C ends it" in line, line + process.stderr.read()
        return process

    def start(self, scheduler: str, *arguments: str) -> subprocess.Popen[str]:
        interfaces = ["--from", self.source.name, "--to", self.target.name]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return self.m.popen([PENSTOCK, "queue", "run", scheduler, *interfaces, *arguments], **pipes)

    def refused(self, scheduler: str, *arguments: str, status: int = 1) -> str:
        process = self.start(scheduler, *arguments)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == status, errors
        return errors

    def ask(self, *arguments: str) -> str:
        return self.m.run([PENSTOCK, "queue", *arguments])

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("stats", self.target.name, "--json"))
        return found

    def swapped(self, scheduler: str, *options: str) -> bool:
        """Whether the scheduler was changed: not while packets wait in the one before the last."""
        try:
            self.ask("swap", self.target.name, scheduler, *options)
        except LabError as error:
            if "packets still wait" not in str(error):
                raise
            return False
        return True


@pytest.fixture
def box(lab: Lab) -> Box:
    return Box(lab)


def test_run_stats_set_and_totals(box: Box) -> None:
    process = box.run("fq_codel", "--rate", "50mbit", "--target", "4ms")
    with bulk(box.a, box.b, flows=2, seconds=4) as transfer:
        time.sleep(1)
        found = box.stats()
        assert found["scheduler"] == "FqCodel"
        assert found["rate"] == 50_000_000
        assert found["options"]["target"] == 4_000_000
        assert found["drained"]["packets"] + found["swapped"]["packets"] > 1000
        box.ask("set", box.target.name, "--rate", "10mbit", "target=3ms")
        time.sleep(0.5)
        start = time.monotonic()
        first = box.stats()
        time.sleep(1)
        second = box.stats()
        assert (second["rate"], second["options"]["target"]) == (10_000_000, 3_000_000)
        sent = [each["drained"]["bytes"] + each["swapped"]["bytes"] for each in (first, second)]
        assert (sent[1] - sent[0]) * 8 < 10_500_000 * (time.monotonic() - start)
        assert "to the stack: " in box.ask("stats", box.target.name)
        assert transfer.wait().failed == 0
    time.sleep(0.5)
    quiet = box.stats()
    assert sum(quiet["sojourn_ns"]) == quiet["drained"]["packets"] + quiet["swapped"]["packets"]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert " packets sent (" in errors
    assert errors.endswith("0 left waiting\n")
    assert len(ping(box.a, box.b, count=2).rtts_ms) == 2


def test_live(box: Box) -> None:
    """After the table a line for each second, until Ctrl-C."""
    process = box.run("fifo", "--rate", "10mbit")
    looking = box.m.popen([PENSTOCK, "queue", "stats", box.target.name, "--live"], stdout=subprocess.PIPE)
    assert looking.stdout is not None
    table = [looking.stdout.readline() for _ in range(14)]
    assert table[0] == "Fifo\n"
    with bulk(box.a, box.b, flows=4, seconds=5):
        told = [looking.stdout.readline() for _ in range(3)]
    rates = [float(line.partition(" Mbit/s  ")[0]) for line in told]
    assert rates[-1] == pytest.approx(10, rel=0.1)
    assert all(" swapped, " in line and " dropped; " in line and " waiting\n" in line for line in told)
    looking.send_signal(signal.SIGINT)
    assert looking.wait() == 0
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def test_a_limit_and_the_patience_may_change(box: Box) -> None:
    process = box.run("fifo", "--rate", "8mbit", "--patience", "1ms")
    with bulk(box.a, box.b, flows=2, seconds=20):
        time.sleep(0.5)
        first = box.stats()
        box.ask("set", box.target.name, "--rate", "unlimited", "--patience", "2ms")
        time.sleep(1)
        second = box.stats()
        box.ask("set", box.target.name, "--rate", "8mbit")
    told = [(each["rate"], each["patience"]) for each in (first, second, box.stats())]
    assert told == [(8_000_000, 1_000_000), (None, 2_000_000), (8_000_000, 2_000_000)]
    assert second["bypassed"]["bytes"] * 8 > 20_000_000
    with pytest.raises(LabError, match="cannot leave packets to arrivals for 20000000000 ns"):
        box.ask("set", box.target.name, "--patience", "20s")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def test_framing_and_the_drain_may_change(box: Box) -> None:
    """With as much overhead as a packet is long, half as much gets through."""
    overhead = ["--overhead", "1514", "--mpu", "1600", "--burst", "2ms"]
    process = box.run("fifo", "--rate", "20mbit", *overhead)
    with bulk(box.a, box.b, flows=4, seconds=20):
        time.sleep(1)
        assert _rate(box) == pytest.approx(10_000_000, rel=0.2)
        box.ask("set", box.target.name, "--overhead", "0", "--mpu", "0", "--burst", "1ms", "--drain", "poll")
        time.sleep(0.5)
        assert _rate(box) == pytest.approx(20_000_000, rel=0.2)
        assert box.stats()["drain"] == "poll"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def _rate(box: Box) -> float:
    """Bits per second that leave; to ask takes some tenths of a second, within which the answer was true."""
    found: list[tuple[float, int]] = []
    for wait in (2, 0):
        start = time.monotonic()
        counted = box.stats()["out"]["bytes"]
        found.append(((start + time.monotonic()) / 2, counted))
        time.sleep(wait)
    (start, before), (end, after) = found
    return (after - before) * 8 / (end - start)


def test_another_scheduler_takes_over(box: Box, tmp_path: Path) -> None:
    """TCP goes on through each of them, and every slot is free at the end."""
    (tmp_path / "mine.py").write_text(MINE)
    process = box.run("fifo", "--rate", "30mbit", "--slots", "200")
    with bulk(box.a, box.b, flows=4, seconds=8) as transfer:
        time.sleep(0.5)
        for name, *options in (["fq_codel", "target=2ms"], ["drr"], [str(tmp_path / "mine.py")], ["fifo"]):
            _until(lambda name=name, options=options: box.swapped(name, *options))
            time.sleep(0.7)
            found = box.stats()
            assert found["scheduler"].lower() == Path(name).stem.replace("_", "")
        with pytest.raises(LabError, match="no scheduler fiffo: did you mean fifo"):
            box.ask("swap", box.target.name, "fiffo")
        with pytest.raises(LabError, match="'x' is not a time"):
            box.ask("swap", box.target.name, "codel", "target=x")
        totals = transfer.wait()
    assert totals.failed == 0
    assert totals.bytes_sent * 8 / totals.seconds > 20_000_000
    time.sleep(0.5)
    assert box.stats()["waiting"] == {"packets": 0, "bytes": 0}
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1].endswith("0 left waiting\n")


def _until(done: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_file_of_ones_own(box: Box, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    process = box.run(str(path), "--step", "2", "--rate", "20mbit")
    assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
    assert box.stats()["options"] == {"step": 2}
    process.send_signal(signal.SIGTERM)
    assert "Mine" not in process.communicate(timeout=20)[1]
    assert process.returncode == 0


def test_mistakes_in_a_file(box: Box, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("0 - now * self.step", "now / 2"))
    errors = box.refused(str(path))
    assert f"{path}:{_line('now * self.step')}:" in errors
    path.write_text(MINE.replace("class Mine(Scheduler)", "class Mine(Schedule)"))
    assert "cannot import" in box.refused(str(path), status=2)
    path.write_text("number = 1\n")
    assert "defines no scheduler" in box.refused(str(path), status=2)
    assert not xdp_programs(box.source)


def test_bad_changes_change_nothing(box: Box, tmp_path: Path) -> None:
    """A scheduler that does not compile does not take over, and is told by its line."""
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("0 - now * self.step", "now / 2"))
    process = box.run("codel", "--rate", "30mbit")
    before, target = box.stats(), box.target.name
    asked = box.m.popen([PENSTOCK, "queue", "swap", target, str(path)], stderr=subprocess.PIPE)
    assert f"{path}:{_line('now * self.step')}:" in asked.communicate(timeout=20)[1]
    assert asked.returncode == 1
    with pytest.raises(LabError, match="penstock: --rate: a rate of 0: it must be more than 0"):
        box.ask("set", target, "--rate", "0", "target=3ms")
    with pytest.raises(LabError, match="has no mtu that can change: there are target, interval"):
        box.ask("set", target, "--rate", "10mbit", "mtu=9000")
    after = box.stats()
    assert [after[name] for name in ("scheduler", "rate", "options")] == [
        "Codel",
        30_000_000,
        before["options"],
    ]
    assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def _line(text: str) -> int:
    """The number of the line of `MINE` that has this in it."""
    return next(number for number, line in enumerate(MINE.splitlines(), 1) if text in line)


def test_bad_input(box: Box) -> None:
    unknown = box.refused("fq_code", status=2)
    assert unknown.startswith("penstock: no scheduler fq_code: did you mean fq_codel")
    assert unknown.count("\n") == 1
    assert box.refused("fifo", "--rate", "0", status=2) == (
        "penstock: --rate: a rate of 0: it must be more than 0\n"
    )
    assert "No such option" in box.refused("fifo", "--quantum", "1500", status=2)
    assert "no interface pst-x" in box.refused("fifo", "--from", "pst-x")
    assert "'soon' is not a time" in box.refused("codel", "--target", "soon")
    assert "from 1000 to" in box.refused("fifo", "--rate", "999")
    assert "an mpu of 9000: from 0 to 4096" in box.refused("fifo", "--mpu", "9000")
    assert "cannot leave packets" in box.refused("fifo", "--patience", "20s")
    assert "2 --poll-cpu for 1 --to" in box.refused("fifo", "--poll-cpu", "0", "--poll-cpu", "1", status=2)
    assert not xdp_programs(box.source)


def test_two_on_one_interface(box: Box) -> None:
    process = box.run("fifo")
    assert f"process {process.pid} does" in box.refused("fifo")
    with pytest.raises(LabError, match="no burst that can change"):
        box.ask("set", box.target.name, "burst=3")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    with pytest.raises(LabError, match="no queue before"):
        box.ask("stats", box.target.name)


def test_somebody_has_the_address(box: Box) -> None:
    with box.m.enter(), socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0penstock/queue/{box.target.index}")
        assert f"cannot queue before {box.target.name}: another process has" in box.refused("fifo")
    assert not xdp_programs(box.source)


@pytest.mark.parametrize("which", ["source", "target"])
def test_an_interface_that_vanishes(box: Box, which: str) -> None:
    process = box.run("fifo", "--rate", "10mbit")
    gone, other = (box.source, box.target) if which == "source" else (box.target, box.source)
    box.m.netlink.link("del", index=gone.index)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"{gone.name} has gone" in errors
    assert not xdp_programs(other)


def test_the_xdp_program_of_somebody_else_stays(box: Box) -> None:
    @xdp
    def theirs(_packet: Xdp) -> int:
        return XDP_PASS

    with penstock.load(theirs) as loaded:
        with box.m.enter():
            loaded.attach_xdp(theirs, box.source.name)
        before = xdp_programs(box.source)
        errors = box.refused("fifo")
        assert box.source.name in errors
        assert errors.count("\n") == 1
        assert xdp_programs(box.source) == before != set()


def test_list(box: Box) -> None:
    found = json.loads(box.ask("list", "--json"))
    assert found["fq_codel"]["options"][0].keys() == {"name", "default", "help", "tunable"}
    assert all(scheduler["summary"] for scheduler in found.values())
    text = box.ask("list")
    assert all(name in text for name in found)
