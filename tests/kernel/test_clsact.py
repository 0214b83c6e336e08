"""tc programs by clsact: nothing left behind, except by SIGKILL, and that goes with the next one."""

import ctypes
import re
import signal
import subprocess
import sys
import threading

import pytest

from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.clsact import Label, sweep
from penstock.kernel.features import CLSACT
from penstock.lab import Interface, ping
from penstock.lang import TC_OK
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
from tests.kernel.counting import counting
from tests.kernel.network import filters, qdiscs, tc

pytestmark = pytest.mark.needs(CLSACT)
TC = ProgramKind.SCHED_CLS

HOLDING = """
import sys, time
from penstock.kernel import load
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
spec = returning(-1, ProgramKind.SCHED_CLS)
loaded = load(spec)
for interface, direction in zip(sys.argv[1::2], sys.argv[2::2]):
    loaded.attach_tc(spec, interface, direction, via="clsact")
print("attached", flush=True)
"""


def holding(*places: str, then: str = "time.sleep(60)") -> subprocess.Popen[str]:
    """Start a process that attaches in the current network namespace; return when it has."""
    command = [sys.executable, "-c", HOLDING + then, *places]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "attached\n"
    return process


def add_foreign_filter(interface: Interface) -> None:
    """Add a filter of the same kind, classic BPF that matches nothing."""
    tc(
        interface,
        "filter",
        "add",
        "dev",
        interface.name,
        "ingress",
        "prio",
        "7",
        "bpf",
        "bytecode",
        "1,6 0 0 0,",
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_packets_go_through_the_program(wire, direction):
    near, far = wire
    spec, seen = counting(TC)
    with load(spec) as loaded:
        link = loaded.attach_tc(spec, near.name, direction, via="clsact")
        assert link.how == f"clsact {direction}"
        assert (link.interface.name, link.program) == (near.name, "counting")
        assert link.alive()
        ping(far.host, near.host, count=3)
        assert loaded[seen].value >= 3
        link.close()
        link.close()
        assert not link.alive()
        assert "clsact" not in qdiscs(near)
        before = loaded[seen].value
        ping(far.host, near.host, count=3)
        assert loaded[seen].value == before


def test_an_exception_detaches(wire):
    near, _ = wire
    spec = returning(-1, TC)

    def use_and_fail() -> None:
        with load(spec) as loaded:
            loaded.attach_tc(spec, near.name, "ingress", via="clsact")
            loaded.attach_tc(spec, near.name, "egress", via="clsact")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_and_fail()
    assert "clsact" not in qdiscs(near)


def test_another_thread_may_detach_from_its_own_network(wire):
    near, _ = wire
    spec = returning(-1, TC)
    loaded = load(spec)
    loaded.attach_tc(spec, near.name, "ingress", via="clsact")
    elsewhere = threading.Thread(target=lambda: [_leave(), loaded.close()])
    elsewhere.start()
    elsewhere.join()
    assert "clsact" not in qdiscs(near)


def _leave() -> None:
    """Go to another network namespace, where threads of a program may well be."""
    assert ctypes.CDLL(None).unshare(0x40000000) == 0


def test_the_filter_of_somebody_else_stays_and_so_does_its_qdisc(wire):
    near, _ = wire
    tc(near, "qdisc", "add", "dev", near.name, "clsact")
    add_foreign_filter(near)
    before = filters(near, "ingress")
    spec = returning(-1, TC)
    with load(spec) as loaded:
        loaded.attach_tc(spec, near.name, "ingress", via="clsact")
        assert len(re.findall("penstock:", filters(near, "ingress"))) == 1
    assert filters(near, "ingress") == before
    tc(near, "filter", "del", "dev", near.name, "ingress")
    with load(spec) as loaded:
        loaded.attach_tc(spec, near.name, "ingress", via="clsact")
    assert "clsact" in qdiscs(near)  # it was there before, though empty


@pytest.mark.parametrize("first", [False, True])
def test_before_or_after_what_is_there(wire, first):
    near, far = wire
    (end, ended), (spec, seen) = counting(TC, "end", TC_OK), counting(TC)
    with load(end) as others, load(spec) as loaded:
        others.attach_tc(end, near.name, "ingress", via="clsact")
        loaded.attach_tc(spec, near.name, "ingress", via="clsact", first=first)
        ping(far.host, near.host, count=3)
        assert others[ended].value >= 3
        assert (loaded[seen].value > 0) is first
    assert "clsact" not in qdiscs(near)


def test_the_qdisc_goes_with_the_last_one(wire):
    near, _ = wire
    spec = returning(-1, TC)
    with load(spec) as one, load(spec) as other:
        first = one.attach_tc(spec, near.name, "ingress", via="clsact")
        second = other.attach_tc(spec, near.name, "egress", via="clsact")
        first.close()
        assert "clsact" in qdiscs(near)
        assert second.alive()
        second.close()
        assert "clsact" not in qdiscs(near)


def test_the_interface_goes_away(wire):
    near, _ = wire
    spec = returning(-1, TC)
    with load(spec) as loaded:
        link = loaded.attach_tc(spec, near.name, "ingress", via="clsact")
        near.host.netlink.link("del", index=near.index)
        assert not link.alive()


def test_an_ingress_qdisc_is_in_the_way(wire):
    near, _ = wire
    tc(near, "qdisc", "add", "dev", near.name, "ingress")
    spec = returning(-1, TC)
    with load(spec) as loaded, pytest.raises(KernelError) as refused:
        loaded.attach_tc(spec, near.name, "egress", via="clsact")
    assert str(refused.value) == (
        f"cannot use clsact: its place on {near.name} is taken by an ingress qdisc: "
        f"tc qdisc del dev {near.name} ingress"
    )


def test_sigterm_that_becomes_an_exit_detaches(wire):
    near, _ = wire
    turn_into_exit = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    process = holding(near.name, "ingress", near.name, "egress", then=turn_into_exit)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert len(re.findall("penstock:", filters(near, "ingress") + filters(near, "egress"))) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 7
    assert "clsact" not in qdiscs(near)


def test_an_exit_without_a_word_detaches(wire):
    near, _ = wire
    holding(near.name, "ingress", then="sys.exit()").communicate()
    assert "clsact" not in qdiscs(near)


def test_what_sigkill_leaves_goes_with_the_next_one(wire):
    near, _ = wire
    kill(holding(near.name, "ingress", near.name, "egress"))
    assert len(re.findall("penstock:", filters(near, "ingress") + filters(near, "egress"))) == 2
    alive = holding(near.name, "ingress")
    try:
        assert len(re.findall("penstock:", filters(near, "ingress"))) == 1
        assert "penstock:" not in filters(near, "egress")
    finally:
        kill(alive)


def test_a_sweep_leaves_alone_the_living_and_all_others(wire):
    near, _ = wire
    dead, alive = holding(near.name, "ingress"), holding(near.name, "ingress")
    try:
        add_foreign_filter(near)
        kill(dead)
        assert len(re.findall("penstock:", filters(near, "ingress"))) == 2
        sweep(near.host.netlink)
        assert len(re.findall(rf"penstock:\d+:{alive.pid}:", filters(near, "ingress"))) == 1
        assert len(re.findall("penstock:", filters(near, "ingress"))) == 1
        assert "bytecode" in filters(near, "ingress")
    finally:
        kill(alive)
    sweep(near.host.netlink)
    assert "penstock:" not in filters(near, "ingress")
    assert "bytecode" in filters(near, "ingress")


def test_labels():
    label = Label.new(own=True)
    assert Label.parse(str(label)) == label
    assert label != Label.new(own=True)
    assert not label.orphaned()
    assert Label.parse("cil_from_netdev") is None
    assert Label.parse(f"{label} or so") is None


@pytest.mark.parametrize(("namespace", "started", "expected"), [(0, -1, True), (1, -1, False), (0, 0, False)])
def test_orphans(namespace, started, expected):
    """A reused process number has another start; one of another process namespace may well be alive."""
    own = Label.new(own=False)
    assert own.started is not None
    label = Label(own.namespace + namespace, own.process, own.started + started, 1, own=False)
    assert label.orphaned() is expected
    assert Label(own.namespace, 1 << 22, 5, 1, own=False).orphaned()
