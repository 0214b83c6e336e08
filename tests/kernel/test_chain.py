"""Programs of several processes on one interface: they come and go in any order."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from penstock.errors import KernelError
from penstock.kernel import chain, load
from penstock.kernel.chain import join_chain
from penstock.kernel.chained import Found
from penstock.kernel.features import CHAINS
from penstock.kernel.interface import find_interface
from penstock.kernel.program import Program
from penstock.kernel.root import ROOT
from penstock.lab import Interface, exchange, ping
from penstock.lang import XDP_PASS
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
from tests.kernel.chain_member import Member
from tests.kernel.counting import counting
from tests.kernel.network import xdp_programs
from tests.kernel.objects import Objects, held_by, wait_until_gone
from tests.kernel.test_capabilities import told

pytestmark = pytest.mark.needs(CHAINS)

STAGES: Final = "measure", "forward"
Wire = tuple[Interface, Interface]
Start = Callable[..., Member]


@pytest.fixture
def start() -> Iterator[Start]:
    """Yield what starts members; in the end all that they held must be gone."""
    held = Objects(frozenset(), frozenset(), frozenset())
    with ExitStack() as started:

        def start(stage: str, interface: Interface, mode: str = "auto") -> Member:
            nonlocal held
            member = started.enter_context(Member(stage, interface, mode))
            member.joined()
            held |= held_by(member.process)
            return member

        yield start
    wait_until_gone(held)


def pings(wire: Wire, *members: Member) -> None:
    """Have packets pass, and all these programs see them."""
    near, far = wire
    before = [sum(member.counts()) for member in members]
    assert len(ping(far.host, near.host, count=3).rtts_ms) == 3
    for member, number in zip(members, before, strict=True):
        assert sum(member.counts()) >= number + 3


@pytest.mark.parametrize("how", ["closed", "ended", "killed"])
@pytest.mark.parametrize("goes", STAGES)
@pytest.mark.parametrize("order", [STAGES, STAGES[::-1]], ids="-".join)
def test_each_comes_and_goes_without_the_other(
    wire: Wire, start: Start, order: tuple[str, str], goes: str, how: str
) -> None:
    near, _ = wire
    members: dict[str, Member] = {}
    for stage in order:
        members[stage] = start(stage, near)
        pings(wire, *members.values())
    going = members.pop(goes)
    (staying,) = members.values()
    assert len(xdp_programs(near)) == 1
    going.leave(how)
    pings(wire, staying)
    again = start(goes, near)
    pings(wire, staying, again)
    staying.leave(how)
    pings(wire, again)
    again.leave(how)
    assert not xdp_programs(near)


def test_who_comes_back_at_once_stays(wire: Wire, start: Start) -> None:
    """The kernel empties the array of who has gone some time later, which must not meet who comes."""
    near, _ = wire
    staying = start("forward", near)
    spec, seen = counting(ProgramKind.XDP)
    with load(spec) as loaded:
        for _ in range(50):
            with join_chain(loaded[spec], find_interface(near.name), "measure") as link:
                assert link.alive()
                time.sleep(0.003)
                before = loaded[seen].value
                pings(wire, staying)
                assert loaded[seen].value >= before + 3


@pytest.mark.parametrize("stage", STAGES)
def test_every_packet_is_seen_while_programs_are_replaced(wire: Wire, start: Start, stage: str) -> None:
    near, far = wire
    far.host.netlink.link("set", index=far.index, state="down")  # both start before the first packet
    members = {each: start(each, near) for each in STAGES}
    far.host.netlink.link("set", index=far.index, state="up")
    with exchange(far.host, near.host, flows=10, seconds=2) as transfer:
        for _ in range(201):
            time.sleep(0.005)
            members[stage].say("replace")
            assert members[stage].line() == "replaced\n"
        assert transfer.wait().failed == 0
    assert all(members[stage].counts()), "both had their turn"
    far.host.netlink.link("set", index=far.index, state="down")
    measured, forwarded = (sum(members[each].counts()) for each in STAGES)
    assert measured == forwarded > 1000


def test_packets_pass_without_loss_while_members_are_killed_while_they_join(wire: Wire, start: Start) -> None:
    near, far = wire
    staying = start("forward", near)
    before = time.monotonic()
    start("measure", near).leave("killed")
    takes = time.monotonic() - before
    choice = random.Random(1)
    with exchange(far.host, near.host, flows=10, seconds=5) as transfer:
        for _ in range(20):
            with Member("measure", near):
                time.sleep(takes * choice.uniform(0.7, 1.1))
        assert transfer.wait().failed == 0
    pings(wire, staying, start("measure", near))


def test_both_start_at_once_and_both_are_killed_at_once(wire: Wire) -> None:
    near, _ = wire
    for _ in range(8):
        with ExitStack() as started:
            members = [started.enter_context(Member(stage, near)) for stage in STAGES]
            pings(wire, *(member.joined() for member in members))
            held = held_by(members[0].process) | held_by(members[1].process)
            for member in members:
                member.process.kill()
        wait_until_gone(held)
        assert not xdp_programs(near)


@pytest.mark.parametrize("stage", STAGES)
def test_there_is_one_of_each_stage(wire: Wire, start: Start, stage: str) -> None:
    near, _ = wire
    there = start(stage, near)
    with Member(stage, near) as late:
        output, errors = late.process.communicate(timeout=20)
    assert output == ""
    number = xdp_programs(near).pop()
    assert re.fullmatch(
        rf"cannot attach first to {near.name} as XDP: another penstock {stage}s there; end that first "
        rf"\(XDP program penstock_root \(id {number}\) of \w+ \({there.process.pid}\)\)\n",
        errors,
    ), errors
    pings(wire, there)


@pytest.mark.parametrize("name", ["foreign", ROOT.name])
def test_the_program_of_somebody_else_stays(wire: Wire, name: str) -> None:
    """Also one that calls itself like penstock's."""
    near, _ = wire
    foreign, spec = returning(XDP_PASS, name=name), returning(XDP_PASS)
    with load(foreign, spec) as loaded, loaded.attach_xdp(foreign, near.name):
        before = xdp_programs(near)
        there = f": XDP program {name} .* is there and stays; detach it first"
        with pytest.raises(KernelError, match=f"cannot attach example to {near.name} as XDP{there}"):
            join_chain(loaded[spec], find_interface(near.name), "measure")
        assert xdp_programs(near) == before


def test_to_join_others_takes_a_capability(wire: Wire, start: Start) -> None:
    near, _ = wire
    there = start("forward", near)
    join = f"join_chain(loaded[spec], find_interface({near.name!r}), 'measure')"
    message = told(
        "from penstock.kernel.chain import join_chain\n"
        "from penstock.kernel.interface import find_interface\n"
        f"with load(spec) as loaded: drop(SYS_ADMIN); tell(lambda: {join})\n"
    )
    lacking = "not permitted: this process lacks CAP_SYS_ADMIN; run it as root"
    assert re.fullmatch(rf"cannot look at what is attached \(\w+ \d+\): {lacking}", message)
    pings(wire, there)


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_who_comes_takes_the_mode_that_is_there(wire: Wire, start: Start, mode: str) -> None:
    near, _ = wire
    there = start("forward", near, mode)
    pings(wire, there, start("measure", near))
    spec = returning(XDP_PASS)
    other = "generic" if mode == "native" else "native"
    refused = (
        f"cannot attach example to {near.name} as {other} XDP: penstock's programs there are {mode}; use"
    )
    with load(spec) as loaded, pytest.raises(KernelError, match=refused):
        join_chain(loaded[spec], find_interface(near.name), "measure", other)


def test_the_interface_goes(wire: Wire) -> None:
    near, _ = wire
    spec = returning(XDP_PASS)
    with load(spec) as loaded:
        where = find_interface(near.name)
        with (
            join_chain(loaded[spec], where, "measure") as one,
            join_chain(loaded[spec], where, "forward") as two,
        ):
            assert one.alive()
            assert two.alive()
            near.host.netlink.link("del", index=near.index)
            assert not one.alive()
            assert not two.alive()


def test_the_first_goes_while_the_second_looks(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    near, _ = wire
    spec = returning(XDP_PASS)
    where = find_interface(near.name)
    with load(spec) as loaded:
        first = join_chain(loaded[spec], where, "measure")
        real = chain.find_root

        def too_late(number: int, held: ExitStack) -> Found | None:
            first.close()
            return real(number, held)

        monkeypatch.setattr(chain, "find_root", too_late)
        with join_chain(loaded[spec], where, "forward") as second:
            assert second.alive()
        assert not xdp_programs(near)


def test_another_root_takes_the_place_while_one_is_made(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = wire
    programs = [counting(ProgramKind.XDP, name) for name in ("forward", "early", "late")]
    where = find_interface(near.name)
    with load(*(spec for spec, _ in programs)) as loaded, ExitStack() as joined:
        forward, early, late = (loaded[spec] for spec, _ in programs)
        joined.enter_context(join_chain(forward, where, "forward"))
        real, exchanges = Found.exchange, 0

        def overtaken(found: Found, root: Program) -> None:
            nonlocal exchanges
            exchanges += 1
            if exchanges == 1:
                join_chain(early, where, "measure").close()
            real(found, root)

        monkeypatch.setattr(Found, "exchange", overtaken)
        joined.enter_context(join_chain(late, where, "measure"))
        assert exchanges == 3, "of the one that is overtaken, of the early one, and again"
        assert len(ping(far.host, near.host, count=3).rtts_ms) == 3
        assert all(loaded[programs[each][1]].value >= 3 for each in (0, 2))
