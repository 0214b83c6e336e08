"""Structs and arrays: on the stack, in maps, in packets; loads, stores and copies, run by the kernel."""

import struct

import pytest

from penstock.compiler import ir
from penstock.compiler.build import compile_unit
from penstock.compiler.frontend import lower
from penstock.lang import (
    Array,
    ArrayMap,
    Global,
    HashMap,
    Struct,
    Xdp,
    array,
    be16,
    helpers,
    u8,
    u16,
    u32,
    u64,
    xdp,
    zeros,
)
from penstock.lang.types import ArrayType, IntType
from tests.compiler import make
from tests.compiler.make import (
    address,
    assign,
    const,
    copy,
    element,
    field,
    global_,
    if_,
    load_,
    ret,
    running,
    store,
    unit,
    var,
    zero,
)


class Odd(Struct, packed=True):
    """Nothing in it is aligned."""

    head: u8
    value: u32
    wide: u64
    tail: u16


class Inner(Struct):
    small: u8
    address: Array[u8] = array(16)
    port: be16


class Outer(Struct):
    flag: bool
    count: u64
    inner: Inner
    rows: Array[Inner] = array(3)


OUTER = Global(Outer, name="outer")
ODD = ArrayMap(Odd, 4, name="odd")


def run(program, packet: bytes = bytes(range(64))):
    with running(lower(program)) as (loaded, owner):
        result = loaded.test_run(packet)
        return result, owner


def test_fields_of_a_packed_struct_on_the_stack():
    """The verifier refuses misaligned accesses to the stack: they are split."""

    @xdp
    def program(packet: Xdp) -> int:
        first = packet.read(u64, 0)
        if first is None:
            return 0
        odd = Odd(head=1)
        odd.value = u32(first.value)
        odd.wide = first.value
        odd.tail = u16(first.value)
        return u32(odd.value == u32(odd.wide)) + u32(odd.tail) + u32(odd.head)

    assert run(program, struct.pack("=Q", 0x1122334455667788) + bytes(56))[0].retval == 1 + 0x7788 + 1


def test_packed_struct_as_a_key():
    """Helpers are given its address, so that it is in memory indeed."""
    table = HashMap(Odd, u64, 16, name="table")

    def fill(odd: Odd, value: u64) -> None:
        odd.wide = value

    @xdp
    def program(packet: Xdp) -> int:
        first = packet.read(u64, 0)
        if first is None:
            return 0
        odd = Odd(head=1)
        odd.value = u32(first.value)
        table.update(odd, 5)
        fill(odd, first.value)
        entry = table.lookup(odd)
        return 0 if entry is None else u32(entry.value)

    with running(lower(program)) as (loaded, owner):
        value = 0x1122334455667788
        owner[table][Odd(head=1, value=value & 0xFFFFFFFF, wide=value)] = 9
        assert loaded.test_run(struct.pack("=Q", value) + bytes(56)).retval == 9


def test_packed_struct_handed_to_a_function():
    def fill(odd: Odd, value: u64) -> None:
        odd.value = u32(value)
        odd.wide = value

    @xdp
    def program(packet: Xdp) -> int:
        first = packet.read(u64, 0)
        if first is None:
            return 0
        odd = Odd()
        fill(odd, first.value)
        entry = ODD.lookup(1)
        if entry is None:
            return 0
        entry.head = odd.head
        entry.value = odd.value
        entry.wide = odd.wide
        return 1

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(struct.pack("=Q", 0x1122334455667788) + bytes(56)).retval == 1
        assert owner[ODD][1].wide == 0x1122334455667788
        assert owner[ODD][1].value == 0x55667788


def test_packed_fields_outside_the_stack_are_single_accesses():
    """Not put together from bytes."""

    @xdp
    def program(packet: Xdp) -> int:
        odd = packet.read(Odd, 0)
        if odd is None:
            return 0
        return odd.value

    code = compile_unit(lower(program)).code
    assert len(code) // 8 <= 10


def test_nested_structs_and_arrays():
    @xdp
    def program(_: Xdp) -> int:
        outer = OUTER.value
        row = outer.rows[2]
        row.port = be16(0x1234)
        row.address[15] = 9
        outer.inner = row
        outer.flag = True
        outer.count = u64(u16(outer.inner.port)) + u64(outer.inner.address[15])
        return 5

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 5
        outer = owner[OUTER].value
        assert outer.count == 0x1234 + 9
        assert outer.flag
        assert bytes(outer.inner.address) == bytes(15) + b"\x09"
        assert int(outer.rows[2].port) == 0x1234


def test_array_with_a_variable_index():
    @xdp
    def program(packet: Xdp) -> int:
        first = packet.read(Inner, 0)
        if first is None:
            return 0
        buffer = zeros(u32, 8)
        for i in range(8):
            buffer[i] = u32(i) * 10
        index = u32(first.small)
        if index < 8:
            return buffer[index]
        return buffer[index & 7] + 1

    with running(lower(program)) as (loaded, _):
        for index in (0, 3, 7, 8, 13, 255):
            wanted = index * 10 if index < 8 else (index & 7) * 10 + 1
            assert loaded.test_run(bytes([index]) + bytes(63)).retval == wanted


def test_small_index_of_a_small_array():
    """LLVM would make `base + index` `base | index`, which the verifier does not allow for pointers."""

    @xdp
    def program(packet: Xdp) -> int:
        first = packet.read(Inner, 0)
        if first is None:
            return 0
        pair = zeros(u8, 2)
        pair[first.small & 1] = 7
        row = Inner()
        row.address[first.small & 1] = 9
        in_pair = u32(pair[0]) + 10 * u32(pair[1])
        return in_pair + 100 * u32(row.address[0]) + 1000 * u32(row.address[1])

    with running(lower(program)) as (loaded, _):
        assert loaded.test_run(bytes(64)).retval == 907
        assert loaded.test_run(b"\x01" + bytes(63)).retval == 9070


def test_bool_in_memory_is_any_byte():
    """What is not 0 counts as true, also if Python or another program wrote 7; what is stored is 0 or 1."""
    flag = field(global_(OUTER), "flag")
    body = [if_(load_(flag), [store(flag, make.const(0, flag.type.to)), ret(const(1))]), ret(const(0))]
    with running(unit(body, maps=[OUTER])) as (loaded, owner):
        owner[OUTER].value.data["flag"].view("u1")[...] = 7
        assert loaded.test_run(bytes(64)).retval == 1
        assert owner[OUTER].value.data["flag"].view("u1") == 0


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 15, 16, 17, 40, 64, 200, 511, 512, 513, 600, 1027, 1500])
def test_copy_of_every_size(size):
    """From map to map, through the stack if it is small enough."""

    class Block(Struct):
        content: Array[u8] = array(size)

    source, target = Global(Block, name="source"), Global(Block, name="target")
    if size <= 400:
        stack = ir.Storage("block", Block.__layout__)
        body = [copy(address(stack), global_(source)), copy(global_(target), address(stack))]
    else:
        body = [copy(global_(target), global_(source))]
    with running(unit([*body, ret(const(1))], maps=[source, target])) as (loaded, owner):
        owner[source].value.data["content"][...] = [n * 13 & 255 for n in range(size)]
        assert loaded.test_run(bytes(64)).retval == 1
        assert bytes(owner[target].value) == bytes(owner[source].value)


@pytest.mark.parametrize("offset", range(8))
def test_copy_to_the_stack_at_every_offset(offset):
    """Also by a function that does not know where the struct is."""

    class Shifted(Struct):
        before: Array[u8] = array(offset + 1)
        part: Array[u8] = array(16)
        after: u8

    class Header(Struct, packed=True):
        skipped: Array[u8] = array(3)
        part: Array[u8] = array(16)

    results = HashMap(u32, Shifted, 2, name="results")

    def fill(target: Shifted, header: Header) -> None:
        target.part = header.part

    @xdp
    def program(packet: Xdp) -> int:
        header = packet.read(Header, 2)
        if header is None:
            return 0
        shifted = Shifted(after=7)
        fill(shifted, header)
        other = Shifted()
        other.part = shifted.part
        other.after = shifted.after
        results.update(0, shifted)
        results.update(1, other)
        return 1

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(range(64))).retval == 1
        wanted = bytes(offset + 1) + bytes(range(5, 21)) + b"\x07"
        assert [bytes(owner[results][n]) for n in range(2)] == [wanted, wanted]


def test_copies_of_16_bytes_from_packet_to_stack_are_two_words():
    class Address(Struct):
        part: Array[u8] = array(16)

    class Header(Struct, packed=True):
        skipped: Array[u8] = array(6)
        part: Array[u8] = array(16)

    table = HashMap(Address, u64, 16, name="table")

    @xdp
    def program(packet: Xdp) -> int:
        header = packet.read(Header, 0)
        if header is None:
            return 0
        key = Address()
        key.part = header.part
        return u32(table.lookup(key) is None)

    assert len(compile_unit(lower(program)).code) // 8 <= 24


def test_zero_clears_padding_too():
    """A map compares keys byte by byte."""

    class Key(Struct):
        a: u8
        b: u64
        c: u16

    table = HashMap(Key, u64, 16, name="table")

    @xdp
    def program(_: Xdp) -> int:
        junk = zeros(u64, 3)
        for i in range(3):
            junk[i] = 0xFFFF_FFFF_FFFF_FFFF
        key = Key(a=1, b=2, c=3)
        return u32(table.update(key, junk[0]) == 0)

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 1
        assert [bytes(key) for key in owner[table]] == [bytes(Key(a=1, b=2, c=3))]


def test_storage_in_a_loop_is_zeroed_each_time():
    storage = ir.Storage("array", ArrayType(IntType("u32", 32), 4))
    i, seen = ir.Variable("i", make.u32), ir.Variable("seen", make.u32)
    slot = element(address(storage), const(2))
    body = [
        zero(storage),
        store(slot, make.binary("add", load_(slot), const(1))),
        assign(seen, make.binary("add", var(seen), load_(slot))),
    ]
    program = unit([assign(seen, const(0)), *make.count_to(i, const(5), body), ret(var(seen))])
    with running(program) as (loaded, _):
        assert loaded.test_run(bytes(64)).retval == 5


class Collected(Struct):
    calls: u32
    last: Array[u8] = array(16)
    odd: Odd


def collect(index: u64, state: Collected) -> int:
    """Write to the stack of the caller, in a function of the kernel's own that does not see it."""
    entry = ODD.lookup(u32(index))
    outer = OUTER.value
    if entry is not None:
        state.odd = entry
        state.odd.wide += 1
        state.last = outer.inner.address
        state.calls += 1
    return 0


def test_callback_that_writes_to_the_stack_of_the_program():
    @xdp
    def program(_: Xdp) -> int:
        state = Collected()
        helpers.loop(4, collect, state)
        return u32(state.odd.wide) * 1000 + u32(state.last[3]) * 10 + state.calls

    with running(lower(program)) as (loaded, owner):
        owner[ODD][3] = Odd(wide=41)
        owner[OUTER].value.inner.address[3] = 7
        assert loaded.test_run(bytes(64)).retval == 42074


class Flow(Struct):
    packets: u64
    state: Inner


FLOWS = HashMap(u32, Flow, 16, name="flows")


def state_of(key: u32) -> Inner | None:
    """LLVM would rather add the field's offset to None than branch."""
    flow = FLOWS.lookup(key)
    if flow is None:
        return None
    return flow.state


def test_field_of_what_may_be_none():
    @xdp
    def program(_: Xdp) -> int:
        state = state_of(3)
        if state is None:
            return 1
        flow = FLOWS.lookup(4)
        count = 0 if flow is None else flow.packets
        return u32(state.small) + u32(count)

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 1
        owner[FLOWS][3] = Flow(packets=5, state=Inner(small=7))
        assert loaded.test_run(bytes(64)).retval == 7
        owner[FLOWS][4] = Flow(packets=5, state=Inner(small=7))
        assert loaded.test_run(bytes(64)).retval == 12


def test_either_of_two_that_may_be_none():
    """LLVM would rather compute with what may be None than branch."""

    @xdp
    def program(_: Xdp) -> int:
        first = state_of(1)
        second = state_of(2)
        chosen = first if first is not None else second
        if chosen is None:
            return 1
        return u32(chosen.small)

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 1
        owner[FLOWS][2] = Flow(state=Inner(small=22))
        assert loaded.test_run(bytes(64)).retval == 22
        owner[FLOWS][1] = Flow(state=Inner(small=11))
        assert loaded.test_run(bytes(64)).retval == 11


def test_two_tests_for_none():
    @xdp
    def program(_: Xdp) -> int:
        first, second = FLOWS.lookup(1), FLOWS.lookup(2)
        if first is None and second is None:
            return 1
        if first is None or second is None:
            return 2
        return u32(first.packets + second.packets)

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 1
        owner[FLOWS][2] = Flow(packets=10)
        assert loaded.test_run(bytes(64)).retval == 2
        owner[FLOWS][1] = Flow(packets=20)
        assert loaded.test_run(bytes(64)).retval == 30
