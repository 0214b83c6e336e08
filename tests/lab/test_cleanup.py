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
    child = a.popen(["sleep", "600"])
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other():
    """A process with a lab in which a process runs, and the latter's pid."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, int(process.stdout.readline())
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
            lab.link(lab.host("a"), lab.host("b"))
            raise OwnError

    with pytest.raises(OwnError):
        fail()
    assert not names(os.getpid())


@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_even_twice(other, times):
    process, child = other
    assert len(names(process.pid)) == 2
    for _ in range(times):
        process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    assert not names(process.pid)
    assert ends(child)


def test_after_sigkill_the_next_lab_cleans_up(other):
    process, child = other
    process.kill()
    process.wait(10)
    assert len(names(process.pid)) == 2
    with Lab():
        assert not names(process.pid)
    assert ends(child)


def test_what_belongs_to_a_living_process_stays(other):
    process, child = other
    sweep()
    assert len(names(process.pid)) == 2
    assert runs(child)


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
