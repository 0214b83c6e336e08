"""Maps, atomics, helpers, callbacks and kernel functions, run by the kernel."""

import sys
import time

import pytest

from penstock.compiler import ir
from penstock.compiler.build import compile_unit
from penstock.compiler.frontend import lower
from penstock.compiler.instructions import Code
from penstock.compiler.spec import RelocationKind
from penstock.kernel import load
from penstock.lang import (
    ArrayMap,
    Global,
    HashMap,
    LruHash,
    RingBuf,
    SpinLock,
    Struct,
    Tc,
    Timer,
    Xdp,
    helpers,
    tc,
    xdp,
)
from tests.compiler.make import (
    XDP,
    address,
    assign,
    atomic,
    binary,
    compare,
    const,
    convert,
    evaluate,
    field,
    global_,
    helper,
    i8,
    i64,
    if_,
    is_none,
    live,
    load_,
    lookup,
    map_,
    read,
    reference,
    ret,
    running,
    store,
    u8,
    u32,
    u64,
    unit,
    var,
    zero,
)

PACKET = bytes(range(64))
BYTE = ir.Variable("byte", reference(u8, nullable=True))
FIRST = [assign(BYTE, read(XDP, u8, const(0))), if_(is_none(var(BYTE)), [ret(const(99))])]


def first_byte() -> ir.Expr:
    """Return the packet's first byte, after FIRST: nothing that LLVM knows."""
    return load_(live(BYTE))


class Key(Struct):
    a: u32
    b: u32


class Value(Struct):
    packets: u64
    bytes_: u64


FLOWS = LruHash(Key, Value, 64, name="flows")
COUNT = Global(u64, name="count")
SMALL = Global(u32, name="small")


def test_look_up_update_and_delete():
    key, fresh = ir.Storage("key", Key.__layout__), ir.Storage("fresh", Value.__layout__)
    found = ir.Variable("found", reference(Value, nullable=True))
    packets = field(live(found), "packets")
    body = [
        zero(key),
        store(field(address(key), "b"), const(7)),
        assign(found, lookup(FLOWS, address(key))),
        if_(
            is_none(var(found)),
            [
                zero(fresh),
                store(field(address(fresh), "packets"), const(1, u64)),
                ret(convert(update(FLOWS, address(key), address(fresh)), u32)),
            ],
        ),
        store(packets, binary("add", load_(packets), const(1, u64))),
        if_(compare("lt", load_(packets), const(4, u64)), [ret(convert(load_(packets), u32))]),
        evaluate(helper("map_delete_elem", 3, i64, map_(FLOWS), address(key))),
        ret(const(99)),
    ]
    with running(unit(body, maps=[FLOWS])) as (loaded, owner):
        assert [loaded.test_run(PACKET).retval for _ in range(5)] == [0, 2, 3, 99, 0]
        assert owner[FLOWS][Key(b=7)] == Value(packets=1)


def update(spec, key: ir.Expr, value: ir.Expr) -> ir.Expr:
    return helper("map_update_elem", 2, i64, map_(spec), key, value, const(0, u64))


def test_global_is_reached_without_a_look_up():
    body = [store(global_(COUNT), binary("add", load_(global_(COUNT)), const(3, u64))), ret(const(0))]
    program = unit(body, maps=[COUNT])
    spec = compile_unit(program)
    assert [r.kind for r in spec.relocations] == [RelocationKind.MAP_VALUE]
    assert spec.helpers == ()
    with running(program) as (loaded, owner):
        loaded.test_run(PACKET, repeat=5)
        assert owner[COUNT].value == 15


@pytest.mark.parametrize(("kind", "target"), [(u32, SMALL), (u64, COUNT)], ids=["u32", "u64"])
@pytest.mark.parametrize(
    ("op", "after"),
    [
        ("fetch_add", 12 + 10),
        ("fetch_and", 12 & 10),
        ("fetch_or", 12 | 10),
        ("fetch_xor", 12 ^ 10),
        ("exchange", 10),
    ],
)
def test_atomics_give_the_old_value(op, after, kind, target):
    old = atomic(op, global_(target), const(10, kind))
    with running(unit([ret(convert(old, u32))], maps=[target])) as (loaded, owner):
        owner[target].value = 12
        assert loaded.test_run(PACKET).retval == 12
        assert owner[target].value == after


@pytest.mark.parametrize(("kind", "target"), [(u32, SMALL), (u64, COUNT)], ids=["u32", "u64"])
def test_compare_exchange(kind, target):
    old = atomic("compare_exchange", global_(target), const(9, kind), const(5, kind))
    with running(unit([ret(convert(old, u32))], maps=[target])) as (loaded, owner):
        owner[target].value = 4
        assert loaded.test_run(PACKET).retval == 4
        assert owner[target].value == 4
        owner[target].value = 5
        assert loaded.test_run(PACKET).retval == 5
        assert owner[target].value == 9


@pytest.mark.parametrize(
    ("kind", "target", "size"), [(u32, SMALL, 0x00), (u64, COUNT, 0x18)], ids=["u32", "u64"]
)
def test_add_without_result_is_the_instruction_that_every_kernel_has(kind, target, size):
    """BPF_STX | BPF_ATOMIC with the immediate BPF_ADD, which was BPF_XADD before Linux 5.12: no BPF_FETCH."""
    program = unit([evaluate(atomic("add", global_(target), const(7, kind))), ret(const(0))], maps=[target])
    code = list(Code(bytearray(compile_unit(program).code), "<" if sys.byteorder == "little" else ">"))
    assert [(i.opcode, i.immediate) for i in code if i.opcode & 0xE7 == 0xC3] == [(0xC3 | size, 0)]
    with running(program) as (loaded, owner):
        loaded.test_run(PACKET, repeat=3)
        assert owner[target].value == 21


def test_helper_arguments_are_extended_by_their_sign():
    shrink = helper("xdp_adjust_tail", 65, i64, var(XDP), convert(first_byte(), i8))
    with running(unit([*FIRST, ret(convert(shrink, u32))])) as (loaded, _):
        result = loaded.test_run(bytes([256 - 20]) + bytes(63))
        assert (result.retval, len(result.data_out)) == (0, 44)


def test_helper_result_is_cut_to_its_type():
    later = compare("gt", helper("ktime_get_ns", 5, u64), const(1, u64))
    cpu = compare("lt", helper("get_smp_processor_id", 8, u32), const(4096))
    with running(unit([ret(binary("add", convert(later, u32), convert(cpu, u32)))])) as (loaded, _):
        assert loaded.test_run(PACKET).retval == 2


def test_ring_buffer_counts_what_does_not_fit():
    class Record(Struct):
        sequence: u64
        zero: u64

    ring = RingBuf(Record, 4096, name="ring")

    @xdp
    def program(_: Xdp) -> int:
        record = ring.reserve()
        if record is None:
            return 1
        record.sequence = COUNT.value
        record.zero = 0
        COUNT.value += 1
        ring.submit(record)
        return 0

    with running(lower(program)) as (loaded, owner):
        fits = 4096 // 24
        assert [loaded.test_run(PACKET).retval for _ in range(200)] == [0] * fits + [1] * (200 - fits)
        assert owner[ring].lost == 200 - fits
        records = owner[ring].read()
        assert list(records["sequence"]) == list(range(fits))


class Sum(Struct):
    total: u64
    calls: u64


def add_up(_: u32, value: Value, state: Sum) -> int:
    state.total += value.packets
    state.calls += 1
    return 1 if value.packets == 12 else 0


def test_for_each_calls_back():
    table = ArrayMap(Value, 5, name="table")

    @xdp
    def program(_: Xdp) -> int:
        state = Sum()
        calls = table.for_each(add_up, state)
        return u32(state.total) * 100 + u32(calls)

    with running(lower(program)) as (loaded, owner):
        for n in range(5):
            owner[table][n] = Value(packets=10 + n)
        assert loaded.test_run(PACKET).retval == (10 + 11 + 12) * 100 + 3


def add_index(index: u64, state: Sum) -> int:
    state.total += index
    return 0


def test_loop_calls_back():
    @xdp
    def program(_: Xdp) -> int:
        state = Sum()
        calls = helpers.loop(1000, add_index, state)
        return u32(state.total) + u32(calls)

    with running(lower(program)) as (loaded, _):
        assert loaded.test_run(PACKET).retval == sum(range(1000)) + 1000


class Locked(Struct):
    lock: SpinLock
    first: u32
    second: u32


def test_spin_lock():
    table = HashMap(u32, Locked, 4, name="table")

    @xdp
    def program(_: Xdp) -> int:
        entry = table.lookup(1)
        if entry is None:
            return 1
        with entry.lock:
            entry.first += 1
            entry.second = entry.first * 2
        return entry.second

    with running(lower(program)) as (loaded, owner):
        owner[table][1] = Locked(first=5)
        assert loaded.test_run(PACKET).retval == 12


class Alarm(Struct):
    timer: Timer
    rings: u64


ALARMS = ArrayMap(Alarm, 2, name="alarms")


def ring(_: u32, alarm: Alarm) -> int:
    alarm.rings += 1
    return 0


def test_timer_calls_back():
    @xdp
    def program(_: Xdp) -> int:
        alarm = ALARMS.lookup(1)
        if alarm is None:
            return 1
        if helpers.timer_init(alarm.timer, ALARMS) != 0:
            return 2
        if helpers.timer_set_callback(alarm.timer, ring) != 0:
            return 3
        return u32(helpers.timer_start(alarm.timer, 1000000))

    with running(lower(program)) as (loaded, owner):
        assert loaded.test_run(PACKET).retval == 0
        deadline = time.monotonic() + 5
        while owner[ALARMS][1].rings == 0:
            assert time.monotonic() < deadline
            time.sleep(0.001)


@helpers.kfunc(since=(6, 2))
def bpf_rcu_read_lock() -> None:
    """See kernel/bpf/helpers.c."""


@helpers.kfunc(since=(6, 2))
def bpf_rcu_read_unlock() -> None:
    """See kernel/bpf/helpers.c."""


def test_kernel_functions():
    @tc
    def program(_: Tc) -> int:
        bpf_rcu_read_lock()
        COUNT.value += 1
        bpf_rcu_read_unlock()
        return 5

    spec = compile_unit(lower(program))
    assert spec.kfuncs == ("bpf_rcu_read_lock", "bpf_rcu_read_unlock")
    with load(spec) as loaded:
        assert loaded[spec].test_run(PACKET).retval == 5
        assert loaded[COUNT].value == 1


def test_helpers_are_named_with_their_kernels():
    @xdp
    def program(_: Xdp) -> int:
        FLOWS.lookup(Key())
        return u32(helpers.ktime_get_coarse_ns() & 1)

    names = dict(compile_unit(lower(program)).helpers)
    assert names["ktime_get_coarse_ns"] == (5, 11)
    assert "map_lookup_elem" in names
