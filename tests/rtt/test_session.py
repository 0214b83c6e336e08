from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.errors import PenstockError
from penstock.rtt.aggregates import Report, Traffic
from penstock.rtt.formats import FORMATS, Aggregation
from penstock.rtt.loop import Loop
from penstock.rtt.naming import Events
from penstock.rtt.printer import Printer
from penstock.rtt.session import Session
from penstock.rtt.totals import Totals
from tests.rtt.events import DTYPE, event

MS = 1_000_000
TOTALS = Totals(
    seconds=1.5,
    packets=7,
    rtts=4,
    events=5,
    flows_seen=2,
    flows_now=1,
    flows_room=16,
    lost=0,
    evicted=0,
    refused=0,
    busy=0,
    truncated=0,
    without=0,
    unanswered=0,
    prefixes=0,
)
REPORT = Report("10.0.0.0/24", Traffic(1, 60), Traffic(0, 0), {}, (1, 0, 0, 0), None)


class FakeSource:
    """Events given beforehand, some of them only once the programs are detached."""

    def __init__(self, *batches: Events, last: Events | None = None) -> None:
        self.interfaces: Sequence[str] = ["eth0", "eth1"]
        self.batches = list(batches)
        self.last = last
        self.vanishing: list[str] = []
        self.detached = False
        self.sweeps: list[bool] = []
        self._event = os.eventfd(0)

    def fileno(self) -> int:
        return self._event

    def read(self, limit: int | None) -> Events:
        if self.detached and self.last is not None:
            return self.last[:limit]
        return (self.batches.pop(0) if self.batches else np.zeros(0, DTYPE))[:limit]

    def reports(self) -> Sequence[Report]:
        return [REPORT]

    def sweep(self) -> None:
        self.sweeps.append(self.detached)

    def lose_interfaces(self) -> Sequence[str]:
        lost, self.vanishing = self.vanishing, []
        self.interfaces = [name for name in self.interfaces if name not in lost]
        return lost

    def detach(self) -> None:
        self.detached = True

    def totals(self) -> Totals:
        return TOTALS


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.count = 0

    def begin(self) -> None:
        self.calls.append("begin")

    def events(self, events: Events) -> None:
        self.calls.append("events")
        self.count += len(events)

    def reports(self, timestamp: int, reports: Sequence[Report]) -> None:
        assert timestamp <= time.monotonic_ns()
        assert list(reports) == [REPORT]
        self.calls.append("reports")

    def reopen(self) -> None:
        self.calls.append("reopen")

    def end(self) -> None:
        self.calls.append("end")


def send_later(delay: float, *numbers: signal.Signals) -> None:
    def send() -> None:
        for number in numbers:
            time.sleep(delay)
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def batch(size: int) -> Events:
    return np.repeat(event(), size)


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_on_signals(number: signal.Signals) -> None:
    source, sink = FakeSource(batch(3), last=batch(2)), Recorder()
    send_later(0.1, number)
    assert Session(source, sink).run() == TOTALS
    assert source.detached
    assert sink.count == 5, "what came before the programs were detached is not dropped"
    assert sink.calls == ["begin", "events", "events", "end"]


def test_signals_are_heeded_once_it_is_ready() -> None:
    source = FakeSource()
    assert Session(source, Recorder()).run(lambda: os.kill(os.getpid(), signal.SIGINT)) == TOTALS
    assert source.detached


def test_ends_after_a_while() -> None:
    start = time.monotonic()
    Session(FakeSource(), Recorder(), duration=150 * MS).run()
    assert 0.15 <= time.monotonic() - start < 1


def test_silent_flows_are_swept_each_second_and_at_the_end() -> None:
    source = FakeSource()
    Session(source, Recorder(), duration=2500 * MS).run()
    assert source.sweeps == [False, False, True], "the last time when nothing comes any more"


def test_ends_after_so_many_events() -> None:
    sink = Recorder()
    Session(FakeSource(batch(3), batch(3), last=batch(9)), sink, count=5).run()
    assert sink.count == 5


def test_what_was_missed_is_not_made_up_for() -> None:
    loop, calls = Loop(), [0.2, *[0.0] * 100]
    loop.every(20 * MS, lambda _: time.sleep(calls.pop(0)))
    loop.every(300 * MS, lambda _: loop.stop())
    loop.run()
    loop.close()
    assert 3 <= 101 - len(calls) <= 9, "not 15"


def test_reopens_on_sighup() -> None:
    sink = Recorder()
    send_later(0.1, signal.SIGHUP, signal.SIGTERM)
    Session(FakeSource(), sink).run()
    assert sink.calls == ["begin", "reopen", "end"]


def test_an_interval_that_is_not_over_counts() -> None:
    sink = Recorder()
    Session(FakeSource(), sink, interval=100 * MS, duration=250 * MS).run()
    assert sink.calls.count("reports") == 3


def test_a_wake_up_is_followed_at_once() -> None:
    source, sink = FakeSource(), Recorder()
    session = Session(source, sink, count=1)
    source.batches = [batch(0), batch(1)]
    os.eventfd_write(source.fileno(), 1)
    session.run()
    assert sink.count == 1


def test_goes_on_with_the_interfaces_that_are_left(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeSource()
    source.vanishing = ["eth0"]
    session = Session(source, Recorder(), duration=300 * MS)
    session.run()
    assert session.failure is None
    assert caplog.messages == ["eth0 is gone; still measuring on eth1"]


def test_ends_when_no_interface_is_left() -> None:
    source, sink = FakeSource(), Recorder()
    source.interfaces, source.vanishing = ["eth0"], ["eth0"]
    session = Session(source, sink)
    assert session.run() == TOTALS
    assert str(session.failure) == "eth0 is gone: no interface is left to measure on"
    assert sink.calls == ["begin", "end"]


def test_the_sink_is_ended_when_it_fails() -> None:
    class Failing(Recorder):
        def events(self, events: Events) -> None:
            raise PenstockError(f"no room for {len(events)}")

    sink = Failing()
    with pytest.raises(PenstockError, match="no room for 1"):
        Session(FakeSource(batch(1)), sink).run()
    assert sink.calls == ["begin", "end"]


def make(path: Path | None, name: str = "jsonl", **options: Any) -> Printer:
    return Printer(FORMATS[name](), path, **options)


class TestPrinter:
    def test_stdout(self, capfd: pytest.CaptureFixture[str]) -> None:
        printer = make(None, "json")
        printer.begin()
        printer.events(batch(2))
        printer.end()
        assert len(json.loads(capfd.readouterr().out)) == 2

    def test_moved_away(self, tmp_path: Path) -> None:
        path, old = tmp_path / "rtt.json", tmp_path / "rtt.json.1"
        printer = make(path, "json")
        printer.begin()
        printer.events(batch(2))
        printer.reopen()  # still the same file: nothing to do
        printer.events(batch(1))
        path.rename(old)
        printer.events(batch(1))
        printer.reopen()
        printer.events(batch(3))
        printer.end()
        assert [len(json.loads(each.read_text())) for each in (old, path)] == [4, 3]

    def test_removed(self, tmp_path: Path) -> None:
        printer = make(tmp_path / "a", aggregation=Aggregation(1, 24, 48, 416))
        printer.begin()
        (tmp_path / "a").unlink()
        printer.reopen()
        printer.end()
        assert "aggregation_interval_ns" in json.loads((tmp_path / "a").read_text())

    def test_continues_lines(self, tmp_path: Path) -> None:
        for _ in range(2):
            printer = make(tmp_path / "a")
            printer.events(batch(2))
            printer.end()
        assert len((tmp_path / "a").read_text().splitlines()) == 4

    def test_does_not_continue_an_array(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("[]\n")
        with pytest.raises(PenstockError, match="cannot be continued; remove it, or use --format jsonl"):
            make(tmp_path / "a", "json")
        assert (tmp_path / "a").read_text() == "[]\n"

    @pytest.mark.parametrize("path", ["missing/a", "."])
    def test_bad_path(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(PenstockError, match=r"^cannot write to .*: (no such file|is a directory)"):
            make(tmp_path / path)

    def test_full_disk(self) -> None:
        printer = make(Path("/dev/full"))
        with pytest.raises(PenstockError, match="cannot write to /dev/full: no space left on device"):
            printer.events(batch(1))


def test_totals_say_what_was_missed() -> None:
    assert str(TOTALS) == (
        "4 RTTs of 7 packets in 1.5 s, 5 events; 2 flows, 1 now in a table of 16; nothing missed"
    )
    lossy = Totals(**{**TOTALS.__dict__, "lost": 3, "busy": 1})
    assert str(lossy).endswith("16; 3 events lost, 1 packets not timed")
    flooded = Totals(**{**TOTALS.__dict__, "without": 2, "unanswered": 7})
    assert str(flooded).endswith("nothing missed; 2 TCP packets without timestamps, 7 flows unanswered")
