"""How `penstock rtt` ends, and what it leaves: nothing of its own, and everything of others."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.kernel import load
from penstock.lab import Host, exchange, ping
from penstock.lang.program import ProgramKind
from tests.conftest import Middlebox
from tests.kernel.assembler import returning
from tests.kernel.chain_member import Member
from tests.kernel.network import filters, xdp_programs
from tests.kernel.objects import held_by, wait_until_gone
from tests.kernel.rtt_measure import PENSTOCK

XDP_PASS = 2


def start(host: Host, *arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return host.popen([PENSTOCK, "rtt", "--rate-limit=0", *arguments], **pipes)


def measuring(host: Host, *arguments: str) -> subprocess.Popen[str]:
    process = start(host, *arguments)
    assert process.stderr is not None
    assert "measuring on" in process.stderr.readline()
    return process


@pytest.fixture(params=["tc", "xdp"])
def ingress(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param


def test_sigkill_leaves_nothing_and_traffic_goes_on(middlebox: Middlebox, ingress: str) -> None:
    names = middlebox.towards_a.name, middlebox.towards_b.name
    with exchange(middlebox.a, middlebox.b, flows=10, seconds=3) as transfer:
        process = measuring(middlebox.m, *names, "--ingress", ingress)
        assert process.stdout is not None
        assert process.stdout.readline(), "it is at work"
        held = held_by(process)
        assert len(held.programs) >= 3
        assert len(held.links) == 4
        process.kill()
        process.communicate()
        wait_until_gone(held)
        for interface in (middlebox.towards_a, middlebox.towards_b):
            assert not xdp_programs(interface)
            assert not filters(interface, "ingress") + filters(interface, "egress")
        assert len(ping(middlebox.a, middlebox.b, count=5).rtts_ms) == 5
        assert transfer.wait().failed == 0
    again = measuring(middlebox.m, *names, "--ingress", ingress)
    ping(middlebox.a, middlebox.b, count=2)
    again.send_signal(signal.SIGINT)
    assert "4 RTTs" in again.communicate(timeout=20)[1]


@pytest.fixture(autouse=True)
def signals_end_processes() -> Iterator[None]:
    """A shell starts what runs in its background with SIGQUIT ignored, and children inherit that."""
    before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGQUIT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_other_ends_leave_nothing_either(middlebox: Middlebox, ingress: str, number: int) -> None:
    process = measuring(middlebox.m, middlebox.towards_a.name, "--ingress", ingress)
    held = held_by(process)
    process.send_signal(number)
    process.communicate(timeout=20)
    wait_until_gone(held)
    assert not xdp_programs(middlebox.towards_a)


def test_sighup_changes_files_in_the_middle_of_traffic(middlebox: Middlebox, tmp_path: Path) -> None:
    path, old = tmp_path / "rtt", tmp_path / "rtt.1"
    options = "--write", str(path), "--format=jsonl"
    process = measuring(middlebox.m, middlebox.towards_a.name, *options)
    with exchange(middlebox.a, middlebox.b, flows=10, seconds=2) as transfer:
        time.sleep(1)
        path.rename(old)
        process.send_signal(signal.SIGHUP)
        transfer.wait()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    texts = [each.read_text() for each in (old, path)]
    assert all(text.startswith("{") and text.endswith("}\n") and len(text) > 10_000 for text in texts)
    events = re.search(r"(\d+) events;", errors)
    assert events is not None
    assert sum(text.count("\n") for text in texts) == int(events[1]), "no event is in neither or both"


def test_the_interface_goes_in_the_middle_of_traffic(middlebox: Middlebox, ingress: str) -> None:
    process = measuring(middlebox.m, middlebox.towards_a.name, "--ingress", ingress)
    with exchange(middlebox.a, middlebox.b, flows=10, seconds=5):
        held = held_by(process)
        time.sleep(0.5)
        middlebox.m.netlink.link("del", index=middlebox.towards_a.index)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    totals, message = errors.splitlines()
    assert "nothing missed" in totals
    assert message == f"penstock: {middlebox.towards_a.name} is gone: no interface is left to measure on"
    wait_until_gone(held)


def test_an_xdp_program_of_somebody_else_is_left_alone(middlebox: Middlebox) -> None:
    theirs = returning(XDP_PASS, ProgramKind.XDP)
    with middlebox.m.enter(), load(theirs) as loaded, loaded.attach_xdp(theirs, middlebox.towards_a.name):
        before = xdp_programs(middlebox.towards_a)
        names = middlebox.towards_b.name, middlebox.towards_a.name
        process = start(middlebox.m, *names, "--ingress=xdp")
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        assert output == ""
        assert len(errors.splitlines()) == 1
        assert f"{middlebox.towards_a.name}" in errors
        assert re.search(r"XDP program", errors), errors
        assert xdp_programs(middlebox.towards_a) == before
        assert not xdp_programs(middlebox.towards_b), "it does not stay on the other interface either"
        assert len(ping(middlebox.a, middlebox.b, count=2).rtts_ms) == 2
        tc = measuring(middlebox.m, *names)
        tc.send_signal(signal.SIGINT)
        tc.communicate(timeout=20)
        assert tc.returncode == 0, "in tc it disturbs nobody"
        assert xdp_programs(middlebox.towards_a) == before


def rtts(process: subprocess.Popen[str]) -> str:
    """End it, and return its totals."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=20)[1]


@pytest.mark.parametrize("first", ["rtt", "forward"])
def test_beside_a_program_that_forwards(middlebox: Middlebox, first: str) -> None:
    """Each is started first, killed, and started again, while the other goes on."""
    m, interface = middlebox.m, middlebox.towards_a

    def seen(member: Member) -> int:
        before = sum(member.counts())
        assert len(ping(middlebox.a, middlebox.b, count=3).rtts_ms) == 3
        return sum(member.counts()) - before

    def measure() -> subprocess.Popen[str]:
        return measuring(m, interface.name, "--ingress=xdp")

    rtt = measure() if first == "rtt" else None
    with Member("forward", interface).joined() as forward:
        rtt = rtt or measure()
        assert seen(forward) >= 3
        rtt.kill()
        rtt.communicate()
        assert seen(forward) >= 3
        rtt = measure()
        assert seen(forward) >= 3
    assert len(ping(middlebox.a, middlebox.b, count=3).rtts_ms) == 3
    with Member("forward", interface).joined() as forward:
        assert seen(forward) >= 3
        assert "9 RTTs" in rtts(rtt), "of all that passed since it was started again"
        assert seen(forward) >= 3
    assert not xdp_programs(interface)
