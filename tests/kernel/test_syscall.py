"""The call itself: signals, and machines that nobody knows."""

import ctypes
import errno

import pytest

from penstock.errors import KernelError
from penstock.kernel import load, syscall
from penstock.kernel.attributes import MapElement
from penstock.kernel.syscall import Command, bpf
from tests.kernel.assembler import returning


@pytest.fixture
def interrupt(monkeypatch):
    """Have the next calls fail with an errno, before the kernel hears of them; return the count of calls."""
    real = syscall._syscall
    calls = []

    def fail(times, error):
        def interrupted(*arguments):
            calls.append(arguments[1])
            if len(calls) <= times:
                ctypes.set_errno(error)
                return -1
            return real(*arguments)

        monkeypatch.setattr(syscall, "_syscall", interrupted)
        return calls

    return fail


@pytest.mark.parametrize("error", [errno.EINTR, errno.EAGAIN])
def test_a_load_interrupted_by_signals_is_tried_again(interrupt, error):
    calls = interrupt(4, error)
    spec = returning(0)
    with load(spec):
        pass
    assert calls == [Command.PROG_LOAD] * 5


def test_a_load_that_is_always_interrupted_ends(interrupt):
    interrupt(1000, errno.EAGAIN)
    with pytest.raises(KernelError, match="cannot load program example: resource temporarily unavailable"):
        load(returning(0))


def test_other_calls_do_not_wait_for_what_is_not_there_yet(interrupt):
    calls = interrupt(1000, errno.EAGAIN)
    with pytest.raises(BlockingIOError):
        bpf(Command.MAP_LOOKUP_ELEM, MapElement())
    assert len(calls) == 1


def test_an_unknown_machine(monkeypatch):
    monkeypatch.setattr(syscall, "_NUMBER", None)
    with pytest.raises(KernelError, match=r"cannot call bpf\(2\): its number on \w+ is unknown"):
        load(returning(0))
