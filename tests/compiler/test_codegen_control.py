"""Branches, loops, short circuits and calls, run by the kernel."""

import struct

import pytest

from penstock.compiler import ir
from penstock.lang import Global
from tests.compiler.make import (
    HERE,
    XDP,
    assign,
    binary,
    call,
    compare,
    const,
    convert,
    count_to,
    evaluate,
    function,
    global_,
    i8,
    if_,
    is_none,
    live,
    load_,
    logical,
    read,
    reference,
    ret,
    running,
    select,
    store,
    u8,
    u16,
    u32,
    u64,
    unit,
    var,
    walrus,
    while_,
)

BREAK, CONTINUE = ir.Break(loc=HERE), ir.Continue(loc=HERE)
BYTE = ir.Variable("byte", reference(u8, nullable=True))
FIRST = [assign(BYTE, read(XDP, u8, const(0))), if_(is_none(var(BYTE)), [ret(const(99))])]


def first_byte() -> ir.Expr:
    """Return the packet's first byte, after FIRST, as u32: nothing that LLVM knows."""
    return convert(load_(live(BYTE)), u32)


def results(program: ir.Unit, values) -> list[int]:
    with running(program) as (loaded, _):
        return [loaded.test_run(bytes([value]) + bytes(63)).retval for value in values]


def local(name: str, kind=u32) -> ir.Variable:
    return ir.Variable(name, kind)


def test_if_and_else():
    body = [*FIRST, if_(compare("lt", first_byte(), const(5)), [ret(const(1))], [ret(const(2))])]
    assert results(unit(body), [4, 5]) == [1, 2]


def test_if_without_else_goes_on():
    x = local("x")
    body = [
        *FIRST,
        assign(x, const(7)),
        if_(compare("eq", first_byte(), const(1)), [assign(x, const(8))]),
        ret(var(x)),
    ]
    assert results(unit(body), [0, 1]) == [7, 8]


def test_loop_with_break_and_continue():
    """Sum the odd numbers below the first byte, at most those below 100."""
    i, total = local("i"), local("total")
    odd = compare("ne", binary("and", var(i), const(1)), const(0))
    body = [
        *FIRST,
        assign(total, const(0)),
        *count_to(
            i,
            const(100),
            [
                if_(compare("ge", var(i), first_byte()), [BREAK]),
                if_(odd, [assign(total, binary("add", var(total), var(i)))], [CONTINUE]),
                assign(total, binary("add", var(total), const(0))),
            ],
        ),
        ret(var(total)),
    ]
    assert results(unit(body), [0, 1, 2, 10, 255]) == [0, 0, 1, 25, 2500]


def test_nested_loops():
    i, j, total = local("i"), local("j"), local("total")
    inner = count_to(
        j,
        const(4),
        [if_(compare("gt", var(j), var(i)), [BREAK]), assign(total, binary("add", var(total), const(1)))],
    )
    body = [assign(total, const(0)), *count_to(i, const(4), inner), ret(var(total))]
    assert results(unit(body), [0]) == [1 + 2 + 3 + 4]


def test_sum_over_a_range_stays_a_loop():
    """Its closed form needs products of more than 64 bits."""
    i, total = local("i", u64), local("total", u64)
    limit = convert(first_byte(), u64)
    body = [
        *FIRST,
        assign(total, const(0, u64)),
        *count_to(i, limit, [assign(total, binary("add", var(total), binary("mul", var(i), var(i))))]),
        ret(convert(var(total), u32)),
    ]
    assert results(unit(body), [0, 1, 200]) == [0, 0, sum(i * i for i in range(200))]


def test_statements_after_return_are_dropped():
    assert results(unit([ret(const(3)), ret(const(4))]), [0]) == [3]


def test_endless_loop_ends_by_break():
    i = local("i")
    step = assign(i, binary("add", var(i), const(1)))
    leave = if_(compare("eq", var(i), const(9)), [BREAK])
    forever = while_(compare("eq", const(1), const(1)), [leave], [step])
    assert results(unit([assign(i, const(0)), forever, ret(var(i))]), [0]) == [9]


COUNT = Global(u32, name="count")


def watch() -> ir.Function:
    """Return a function that returns its argument and counts its calls."""
    x = local("x")
    count = store(global_(COUNT), binary("add", load_(global_(COUNT)), const(1)))
    return function("watch", [x], u32, [count, ret(var(x))])


@pytest.mark.parametrize("op", ["and", "or"])
@pytest.mark.parametrize("form", ["branch", "value"])
def test_short_circuit(op, form):
    watched = watch()
    left = compare("eq", binary("and", first_byte(), const(1)), const(1))
    right = compare("eq", call(watched, binary("and", first_byte(), const(2))), const(2))
    both = logical(op, left, right)
    end = [if_(both, [ret(const(1))]), ret(const(0))] if form == "branch" else [ret(convert(both, u32))]
    with running(unit([*FIRST, *end], watched, maps=[COUNT])) as (loaded, owner):
        for value, (a, b) in {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (1, 1)}.items():
            before = owner[COUNT].value
            result = loaded.test_run(bytes([value]) + bytes(63)).retval
            assert result == ((a and b) if op == "and" else (a or b))
            assert owner[COUNT].value - before == (a if op == "and" else 1 - a)


def test_select_evaluates_one_side():
    watched = watch()
    node = select(compare("eq", first_byte(), const(0)), const(5), call(watched, const(6)))
    with running(unit([*FIRST, ret(node)], watched, maps=[COUNT])) as (loaded, owner):
        assert loaded.test_run(bytes(64)).retval == 5
        assert owner[COUNT].value == 0
        assert loaded.test_run(bytes([1]) + bytes(63)).retval == 6
        assert owner[COUNT].value == 1


def test_walrus_assigns_and_yields():
    x = local("x")
    body = [*FIRST, if_(compare("gt", walrus(x, first_byte()), const(3)), [ret(var(x))]), ret(const(0))]
    assert results(unit(body), [3, 4]) == [0, 4]


def test_function_returns_several_values():
    x, low, high = local("x", u8), local("low", u8), local("high", u64)
    split = function(
        "split",
        [x],
        ir.TupleType((u8, u64)),
        [ret(binary("and", var(x), const(15, u8)), convert(binary("shr", var(x), const(4, u8)), u64))],
    )
    body = [
        *FIRST,
        ir.Unpack(loc=HERE, variables=[low, high], call=call(split, load_(live(BYTE)))),
        ret(binary("add", convert(var(low), u32), binary("mul", convert(var(high), u32), const(100)))),
    ]
    assert results(unit(body, split), [0xA7]) == [1007]


@pytest.mark.parametrize("subprogram", [False, True])
def test_narrow_arguments_and_results(subprogram):
    """A subprogram's caller extends what is narrower than a register."""
    x, y = local("x", i8), local("y", u16)
    body = [ret(binary("add", convert(var(x), i8), convert(var(y), i8)))]
    add = function("add", [x, y], i8, body, subprogram=subprogram)
    negative = compare("lt", call(add, convert(first_byte(), i8), const(1, u16)), const(0, i8))
    program = unit([*FIRST, ret(convert(negative, u32))], add)
    assert results(program, [0, 126, 127, 254, 255]) == [0, 0, 1, 1, 0]


def test_subprogram_is_a_function_of_its_own():
    x = local("x")
    twice = function("twice", [x], u32, [ret(binary("mul", var(x), const(2)))], subprogram=True)
    body = [*FIRST, ret(binary("add", call(twice, first_byte()), call(twice, const(3))))]
    assert results(unit(body, twice), [10]) == [26]


def test_subprogram_without_result():
    x = local("x")
    keep = function("keep", [x], None, [store(global_(COUNT), var(x))], subprogram=True)
    with running(unit([*FIRST, evaluate(call(keep, first_byte())), ret(const(2))], keep, maps=[COUNT])) as (
        p,
        owner,
    ):
        assert p.test_run(bytes([77]) + bytes(63)).retval == 2
        assert owner[COUNT].value == 77


def test_subprogram_with_the_packet():
    """It may read the packet again, and the caller too after it."""
    packet = ir.Variable("packet", XDP.type)
    inner = ir.Variable("inner", reference(u16, nullable=True))
    body = [
        assign(inner, ir.PacketRead(loc=HERE, type=inner.type, context=var(packet), offset=const(2))),
        if_(is_none(var(inner)), [ret(const(0))]),
        ret(convert(load_(live(inner)), u32)),
    ]
    second = function("second", [packet], u32, body, subprogram=True)
    total = binary("add", call(second, var(XDP)), first_byte())
    with running(unit([*FIRST, ret(total)], second)) as (loaded, _):
        assert loaded.test_run(struct.pack("=2H", 5, 1000) + bytes(60)).retval == 1005
