"""What is loaded together: all or nothing, shared maps, and its end."""

import pytest

from penstock.errors import KernelError, VerifierError
from penstock.kernel import load
from penstock.lang import Global, HashMap, RingBuf, Xdp, u32, u64
from penstock.lang import xdp as xdp_program
from tests.kernel.assembler import R0, R1, R3, MapAddress, exit_, mov, mov_reg, program, returning
from tests.kernel.objects import Objects, wait_until_gone


@xdp_program
def source(packet: Xdp) -> int:
    return 0


def test_programs_by_what_they_were_made_from():
    spec = returning(2)
    with load(spec, keys={source: spec}) as loaded:
        assert loaded[source] is loaded[spec]
        assert loaded[source].name == "example"
        with pytest.raises(KeyError):
            loaded[returning(2)]


def test_maps_are_named_by_the_programs():
    table, named = HashMap(u32, u64, 1), HashMap(u32, u64, 1, name="own")
    spec = program(MapAddress(R1, table), MapAddress(R1, named), mov(R0, 0), exit_())
    with load(spec) as loaded:
        assert (loaded[table].name, loaded[named].name) == ("map0", "own")
        assert loaded[table].id != loaded[named].id
        assert repr(loaded[named]) == "<map own (HashMap, 1)>"


def test_all_or_nothing():
    good = program(MapAddress(R1, HashMap(u32, u64, 10)), mov(R0, 0), exit_())
    bad = program(mov_reg(R0, R3), exit_())
    before = Objects.now()
    with pytest.raises(VerifierError):
        load(good, bad)
    wait_until_gone(Objects.now() - before)


def test_nothing_is_left_after_the_end():
    table, ring = HashMap(u32, u64, 10), RingBuf(u64, 4096)
    spec = program(MapAddress(R1, table), MapAddress(R1, ring), mov(R0, 0), exit_())
    before = Objects.now()
    with load(spec) as loaded:
        loaded[ring].read()
        held = Objects.now() - before
        assert len(held.maps) >= 3  # with the ring's count of losses
    loaded.close()
    wait_until_gone(held)
    with pytest.raises(KernelError, match="program example is closed"):
        loaded[spec].test_run(bytes(64))


def test_maps_that_exist_already_are_used_and_left():
    table = Global(u64, name="kept")
    spec = program(MapAddress(R1, table), mov(R0, 0), exit_())
    with load(spec) as first:
        first[table].value = 5
        with load(spec, maps={table: first[table]}) as second:
            assert second[table] is first[table]
            second[table].value += 1
        assert first[table].value == 6


def test_names_that_the_kernel_would_not_take():
    spec = returning(2, name="größer als fünfzehn Zeichen")
    with load(spec) as loaded:
        assert loaded[spec].test_run(bytes(64)).retval == 2


def test_a_link_goes_before_its_program(wire):
    near, _ = wire
    spec = returning(2)
    with load(spec) as loaded:
        link = loaded.attach_xdp(spec, near.name)
        link.close()
        loaded.attach_xdp(spec, near.name)
