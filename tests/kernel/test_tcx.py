"""tc programs by TCX links, and the choice between TCX and clsact."""

import logging

import pytest

from penstock.errors import KernelError
from penstock.kernel import features, load
from penstock.kernel.features import CLSACT, TCX, Feature
from penstock.lab import ping
from penstock.lang import TC_OK
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
from tests.kernel.counting import counting
from tests.kernel.network import filters, qdiscs

XDP, TC = ProgramKind.XDP, ProgramKind.SCHED_CLS
needs_tcx = pytest.mark.needs(TCX)


@needs_tcx
@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize("via", ["auto", "tcx"])
def test_packets_go_through_the_program(wire, direction, via):
    near, far = wire
    spec, seen = counting(TC)
    with load(spec) as loaded:
        link = loaded.attach_tc(spec, near.name, direction, via=via)
        assert link.how == f"TCX {direction}"
        assert link.alive()
        assert "clsact" not in qdiscs(near)
        ping(far.host, near.host, count=3)
        assert loaded[seen].value >= 3
        link.close()
        before = loaded[seen].value
        ping(far.host, near.host, count=3)
        assert loaded[seen].value == before


@needs_tcx
def test_both_directions_and_both_hooks_at_once(wire):
    near, far = wire
    (one, ingress), (two, egress), (three, frames) = (
        counting(TC, "one"),
        counting(TC, "two"),
        counting(XDP, "three"),
    )
    with load(one, two, three) as loaded:
        loaded.attach_tc(one, near.name, "ingress")
        loaded.attach_tc(two, near.name, "egress")
        loaded.attach_xdp(three, near.name)
        ping(far.host, near.host, count=4)
        assert all(loaded[seen].value >= 4 for seen in (ingress, egress, frames))


@needs_tcx
@pytest.mark.parametrize("first", [False, True])
def test_before_or_after_what_is_there(wire, first):
    """A program that says TC_OK ends the chain; one that says TC_UNSPEC, as `counting` does, goes on."""
    near, far = wire
    (end, ended), (spec, seen) = counting(TC, "end", TC_OK), counting(TC)
    with load(end) as others, load(spec) as loaded:
        others.attach_tc(end, near.name, "ingress")
        loaded.attach_tc(spec, near.name, "ingress", first=first)
        ping(far.host, near.host, count=3)
        assert others[ended].value >= 3
        assert (loaded[seen].value > 0) is first


@needs_tcx
def test_the_interface_goes_away(wire):
    near, _ = wire
    spec = returning(0, TC)
    with load(spec) as loaded:
        link = loaded.attach_tc(spec, near.name, "egress")
        near.host.netlink.link("del", index=near.index)
        assert not link.alive()


def test_an_xdp_program_is_no_tc_program(wire):
    near, _ = wire
    spec = returning(2)
    with (
        load(spec) as loaded,
        pytest.raises(KernelError, match="attach example to tc: it is a program for XDP"),
    ):
        loaded.attach_tc(spec, near.name, "ingress")


def missing() -> Feature:
    """Return a TCX as on a kernel that has none."""

    def probe() -> None:
        raise OSError(22, "Invalid argument")

    return Feature("TCX", "nothing", (6, 6), probe)


@pytest.mark.needs(CLSACT)
def test_without_tcx_it_is_clsact(wire, monkeypatch, caplog):
    near, _ = wire
    monkeypatch.setattr(features, "TCX", missing())
    spec = returning(-1, TC)
    with caplog.at_level(logging.INFO), load(spec) as loaded:
        link = loaded.attach_tc(spec, near.name, "ingress")
        assert link.how == "clsact ingress"
        assert f"TCX needs Linux 6.6: using clsact on {near.name}" in caplog.messages
        assert "penstock:" in filters(near, "ingress")
    assert "clsact" not in qdiscs(near)


def test_tcx_where_there_is_none(wire, monkeypatch):
    near, _ = wire
    monkeypatch.setattr(features, "TCX", missing())
    monkeypatch.setattr("penstock.kernel.tcx.create_link", lambda *_: missing().probe())
    spec = returning(-1, TC)
    with load(spec) as loaded, pytest.raises(KernelError) as refused:
        loaded.attach_tc(spec, near.name, "ingress", via="tcx")
    assert str(refused.value) == (
        f"cannot attach example to {near.name} by TCX ingress: invalid argument: "
        "this kernel has no TCX (Linux 6.6)"
    )
