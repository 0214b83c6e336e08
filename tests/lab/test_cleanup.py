"""Nothing of a lab stays, however its process ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.lab import Lab
from penstock.lab.namespace import sweep

PROGRAM = """
from penstock.lab import Lab
import time
with Lab() as lab:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, ethernet=False)
    lab.link(a, b, delay=1_000_000)
    child = a.popen(["sleep", "600"])
    print(child.pid, lab.wires[0].process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other():
    """A process with a lab, and the pids of what runs in it: a process on a host, and a link's emulator."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, [int(pid) for pid in process.stdout.readline().split()]
        process.kill()


def names(pid):
    return sorted(path.name for path in Path("/run/netns").glob(f"pst-{pid}-*"))


def runs(pid):
    """Whether the process is still there; one that outlived its parent may wait for init to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid):
    """Whether the process ends within 5 s."""
    deadline = time.monotonic() + 5
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not runs(pid)


def test_an_exception_unwinds():
    class OwnError(Exception):
        pass

    def fail():
        with Lab() as lab:
            lab.link(lab.host("a"), lab.host("b"), delay=1_000_000)
            started.append(lab.wires[0].process.pid)
            raise OwnError

    started = []
    with pytest.raises(OwnError):
        fail()
    assert not names(os.getpid())
    assert ends(started[0])


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_even_twice(other, number, times):
    process, children = other
    assert len(names(process.pid)) == 3
    for _ in range(times):
        process.send_signal(number)
    assert process.wait(10) == 128 + number
    assert not names(process.pid)
    assert all(map(ends, children))


def test_after_sigkill_the_next_lab_cleans_up(other):
    process, children = other
    process.kill()
    process.wait(10)
    assert len(names(process.pid)) == 3
    with Lab():
        assert not names(process.pid)
    assert all(map(ends, children))


def test_what_belongs_to_a_living_process_stays(other):
    process, children = other
    sweep()
    assert len(names(process.pid)) == 3
    assert all(map(runs, children))


def test_a_program_with_its_own_sigterm_keeps_it():
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Lab():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_sigterm_is_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with Lab():
        pass
    assert signal.getsignal(signal.SIGTERM) is before
