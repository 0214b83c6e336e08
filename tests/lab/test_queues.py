"""Queues in processes of their own."""

import pytest

from penstock.errors import KernelError
from penstock.lab import LabError, bulk, ping, run_queue
from penstock.lab.queues import queue_statistics

SCHEDULER = """
from penstock.lang import u64
from penstock.queue import Fifos, QueuedPacket, Scheduler
class Mine(Scheduler):
    def setup(self) -> None:
        self.waiting = Fifos(self.packets)
    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        return self.waiting.append(packet)
    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.waiting.pop()
"""


@pytest.fixture
def box(lab):
    """Hosts `a` and `b`, a router `m` between them, and its interfaces."""
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    _, source = lab.link(a, m, xdp=True)
    target, _ = lab.link(m, b, xdp=True)
    return a, m, b, source, target


def test_a_queue_runs_changes_and_ends(box):
    a, m, b, source, target = box
    with run_queue(m, "fq_codel", [source], target, rate="50mbit", target="3ms", slots=500) as queue:
        first = queue.statistics()
        assert (first["scheduler"], first["rate"], first["options"]["target"]) == (
            "FqCodel",
            50_000_000,
            3_000_000,
        )
        totals = bulk(a, b, size=500_000, seconds=20).wait()
        assert queue.statistics()["out"]["bytes"] > totals.bytes_sent
        queue.set(rate="20mbit", target="4ms")
        assert queue.statistics()["rate"] == 20_000_000
        assert queue.statistics()["options"]["target"] == 4_000_000
        queue.swap("drr", quantum=3000)
        assert queue.statistics()["scheduler"] == "Drr"
    with pytest.raises(KernelError, match="no queue before pst-b"):
        queue.statistics()
    assert ping(a, b, count=1).rtts_ms


def test_a_scheduler_of_the_users(box, tmp_path):
    _, m, _, source, target = box
    (tmp_path / "mine.py").write_text(SCHEDULER)
    with run_queue(m, str(tmp_path / "mine.py"), [source], target, rate=10_000_000) as queue:
        assert queue.statistics()["scheduler"] == "Mine"


@pytest.mark.parametrize(
    ("scheduler", "options", "message"),
    [
        ("fifo", {"rate": "fast"}, r"--rate: 'fast' is not a rate, such as 10mbit$"),
        ("fifo", {"slots": 0}, r"Invalid value for '--slots': 0 is not in the range 1<=x<=1048576\.$"),
        ("fq_codel", {"targget": "1ms"}, r"No such option '--targget'"),
        ("fofi", {}, r"no scheduler fofi: did you mean fifo"),
    ],
    ids=["rate", "slots", "own", "scheduler"],
)
def test_what_cannot_run_says_why(box, scheduler, options, message):
    _, m, _, source, target = box
    with pytest.raises(LabError, match=f"^m: .* queue run {scheduler} .*: {message}"):
        run_queue(m, scheduler, [source], target, **options)
    with pytest.raises(KernelError, match="no queue before pst-b"):
        queue_statistics(target)


def test_a_change_that_cannot_be(box):
    _, m, _, source, target = box
    with run_queue(m, "fifo", [source], target) as queue:
        with pytest.raises(LabError, match="Fifo has no target that can change"):
            queue.set(target="1ms")
        assert queue.statistics()["scheduler"] == "Fifo"
