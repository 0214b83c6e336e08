"""Maps that refer to interfaces, programs and other maps."""

import socket

import pytest

from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.features import MAPS
from penstock.lang import ArrayMap, ArrayOfMaps, DevMap, HashMap, ProgArray, XskMap, u32, u64
from penstock.lang.maps import MapKind
from tests.kernel.assembler import (
    DW,
    JEQ,
    R0,
    R1,
    R2,
    R3,
    R10,
    MapAddress,
    W,
    add,
    call,
    exit_,
    jump_if,
    mov,
    mov_reg,
    program,
    read,
    returning,
    store_imm,
)

TAIL_CALL, LOOKUP = 12, 1


@pytest.mark.needs(MAPS[MapKind.DEVMAP])
def test_interfaces_by_name_and_index(loaded, wire):
    veth, _ = wire
    ports = loaded.create(DevMap(4, name="ports"))
    ports[0] = veth.name
    ports[2] = veth.index
    assert ports.ids() == {0: veth.index, 2: veth.index}
    del ports[0]
    with pytest.raises(KeyError):
        ports[0]
    assert ports[2] == veth.index
    assert len(ports) == 4


@pytest.mark.needs(MAPS[MapKind.DEVMAP])
def test_an_interface_that_is_not_there(loaded, wire):
    veth, _ = wire
    ports = loaded.create(DevMap(4))
    with pytest.raises(KernelError, match=rf"no interface {veth.name}x: did you mean {veth.name}\?"):
        ports[0] = veth.name + "x"


def test_outside_is_an_index_error(loaded):
    with pytest.raises(IndexError, match="has no place 2"):
        del loaded.create(ProgArray(2))[2]


@pytest.mark.needs(MAPS[MapKind.PROG_ARRAY])
def test_programs_to_continue_with():
    programs = ProgArray(4, name="programs")
    root = program(MapAddress(R2, programs), mov(R3, 1), call(TAIL_CALL), mov(R0, 2), exit_(), name="root")
    leaf = returning(1, name="leaf")
    with load(root, leaf) as loaded:
        run = loaded[root].test_run
        assert run(bytes(64)).retval == 2
        loaded[programs][1] = loaded[leaf]
        assert loaded[programs].ids() == {1: loaded[leaf].id}
        assert run(bytes(64)).retval == 1
        del loaded[programs][1]
        assert run(bytes(64)).retval == 2


@pytest.mark.needs(MAPS[MapKind.ARRAY_OF_MAPS])
def test_inner_maps_are_exchanged_while_programs_run():
    """The program returns the value at index 0 of the map at index 1 of the outer map."""
    outer = ArrayOfMaps(ArrayMap(u64, 2), 3, name="outer")
    reading = program(
        store_imm(W, R10, -4, 1),
        mov_reg(R2, R10),
        add(R2, -4),
        MapAddress(R1, outer),
        call(LOOKUP),
        jump_if(JEQ, R0, 0, 7),
        store_imm(W, R10, -4, 0),
        mov_reg(R2, R10),
        add(R2, -4),
        mov_reg(R1, R0),
        call(LOOKUP),
        jump_if(JEQ, R0, 0, 1),
        read(DW, R0, R0, 0),
        exit_(),
    )
    with load(reading) as loaded:
        run = loaded[reading].test_run
        assert run(bytes(64)).retval == 0
        first, second = loaded.create(outer.inner), loaded.create(outer.inner)
        assert first is not second
        first[0], second[0] = 11, 22
        loaded[outer][1] = first
        assert run(bytes(64)).retval == 11
        loaded[outer][1] = second
        assert run(bytes(64)).retval == 22
        assert loaded[outer].ids() == {1: second.id}
        del loaded[outer][1]
        assert run(bytes(64)).retval == 0


@pytest.mark.needs(MAPS[MapKind.ARRAY_OF_MAPS])
def test_an_inner_map_of_another_shape_is_refused(loaded):
    outer = loaded.create(ArrayOfMaps(HashMap(u32, u64, 4), 2))
    with pytest.raises(KernelError, match=r"cannot store an entry of map .* invalid argument"):
        outer[0] = loaded.create(HashMap(u32, u32, 4))


@pytest.mark.needs(MAPS[MapKind.XSKMAP])
def test_sockets(loaded):
    sockets = loaded.create(XskMap(2))
    with socket.socket() as no_xdp_socket, pytest.raises(KernelError, match="cannot store"):
        sockets[0] = no_xdp_socket
