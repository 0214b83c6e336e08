"""XDP by links: attached, detached, refused."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import KernelError
from penstock.kernel import load, xdp
from penstock.kernel.features import XDP_LINKS
from penstock.lab import ping
from penstock.lang import XDP_DROP
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
from tests.kernel.counting import counting
from tests.kernel.network import xdp_programs

pytestmark = pytest.mark.needs(XDP_LINKS)
XDP, TC = ProgramKind.XDP, ProgramKind.SCHED_CLS


@pytest.mark.parametrize("mode", ["native", "generic", "auto"])
@pytest.mark.parametrize("which", ["name", "index"])
def test_packets_go_through_the_program(wire, mode, which):
    near, far = wire
    spec, seen = counting(XDP)
    with load(spec) as loaded:
        link = loaded.attach_xdp(spec, getattr(near, which), mode)
        assert link.how == ("XDP generic" if mode == "generic" else "XDP native")
        assert (link.interface.name, link.program) == (near.name, "counting")
        assert link.alive()
        assert xdp_programs(near) == {loaded[spec].id}
        ping(far.host, near.host, count=3)
        assert loaded[seen].value >= 3
    assert xdp_programs(near) == set()


def test_a_link_can_go_before_the_rest(wire):
    near, far = wire
    spec = returning(XDP_DROP)
    with load(spec) as loaded:
        with loaded.attach_xdp(spec, near.name) as link:
            assert xdp_programs(near)
        assert not xdp_programs(near)
        link.close()
        ping(far.host, near.host, count=1)
        with pytest.raises(KernelError, match=f"link of example to {near.name} .XDP native. is closed"):
            link.alive()


def test_an_exception_detaches(wire):
    near, _ = wire
    spec = returning(2)

    def use_and_fail() -> None:
        with load(spec) as loaded:
            loaded.attach_xdp(spec, near.name)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_and_fail()
    assert not xdp_programs(near)


def test_the_interface_goes_away(wire):
    near, _ = wire
    spec = returning(2)
    with load(spec) as loaded:
        link = loaded.attach_xdp(spec, near.name)
        assert link.alive()
        near.host.netlink.link("del", index=near.index)
        assert not link.alive()


def test_no_such_interface(wire):
    near, _ = wire
    spec = returning(2)
    with load(spec) as loaded, pytest.raises(KernelError, match=rf"no interface {near.name}x: did you mean"):
        loaded.attach_xdp(spec, near.name + "x")


def test_a_tc_program_is_no_xdp_program(wire):
    near, _ = wire
    spec = returning(0, TC)
    with (
        load(spec) as loaded,
        pytest.raises(KernelError, match="attach example to XDP: it is a program for tc"),
    ):
        loaded.attach_xdp(spec, near.name)
    assert not xdp_programs(near)


@pytest.mark.parametrize("theirs", ["native", "generic"])
@pytest.mark.parametrize("ours", ["native", "generic", "auto"])
def test_the_program_of_somebody_else_stays(wire, theirs, ours):
    near, _ = wire
    foreign, spec = returning(2, name="foreign"), returning(2)
    with load(foreign) as others, load(spec) as loaded:
        others.attach_xdp(foreign, near.name, theirs)
        number = others[foreign].id
        with pytest.raises(KernelError) as refused:
            loaded.attach_xdp(spec, near.name, ours)
        message = str(refused.value)
        assert message.startswith(f"cannot attach example to {near.name} as ")
        comm = Path("/proc/self/comm").read_text(encoding="ascii").strip()
        owner = f"XDP program foreign (id {number}) of {comm} ({os.getpid()})"
        assert message.endswith(f": {owner} is there and stays; detach it first")
        assert xdp_programs(near) == {number}


def test_a_program_that_no_process_holds_stays_too(wire):
    """Attached by netlink, as `ip link set xdp` does, and its descriptor closed."""
    near, _ = wire
    foreign, spec = returning(2, name="foreign"), returning(2)
    with load(foreign) as others:
        near.host.netlink.link("set", index=near.index, xdp_fd=others[foreign].fileno())
        number = others[foreign].id
    with load(spec) as loaded, pytest.raises(KernelError) as refused:
        loaded.attach_xdp(spec, near.name)
    assert str(refused.value).endswith(
        f": XDP program foreign (id {number}) is there and stays; detach it first"
    )
    assert xdp_programs(near) == {number}


def test_native_mode_that_a_driver_lacks_falls_back_with_a_word(wire, caplog, monkeypatch):
    near, _ = wire
    real = xdp.create_link

    def like_an_old_driver(program, interface, attach_type, flags):
        if flags == 1 << 2:
            raise OSError(95, "Operation not supported")
        return real(program, interface, attach_type, flags)

    monkeypatch.setattr(xdp, "create_link", like_an_old_driver)
    spec = returning(2)
    with caplog.at_level(logging.WARNING), load(spec) as loaded:
        assert loaded.attach_xdp(spec, near.name).how == "XDP generic"
        refused = f"cannot attach example to {near.name} as native XDP: operation not supported"
        assert caplog.messages == [f"{refused}; using generic mode, which is slower"]
    with load(spec) as loaded, pytest.raises(KernelError, match="as native XDP: operation not supported"):
        loaded.attach_xdp(spec, near.name, "native")


def test_jumbo_frames_are_refused_by_the_driver_and_the_fall_back_takes_them(wire, caplog):
    """A veth's native XDP takes no frame larger than a page; the reason comes from the real driver."""
    near, far = wire
    for end in wire:
        end.host.netlink.link("set", index=end.index, mtu=9000)
    spec = returning(2)
    with load(spec) as loaded:
        assert loaded.attach_xdp(spec, near.name).how == "XDP generic"
        assert f"cannot attach example to {near.name} as native XDP" in caplog.text
    del far


def test_a_process_that_exits_without_a_word_detaches(wire):
    near, _ = wire
    script = (
        "from penstock.kernel import load\n"
        "from tests.kernel.assembler import returning\n"
        "spec = returning(2)\n"
        "loaded = load(spec)\n"
        f"loaded.attach_xdp(spec, {near.name!r})\n"
        "import sys; sys.exit(3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == 3
    assert not xdp_programs(near)
