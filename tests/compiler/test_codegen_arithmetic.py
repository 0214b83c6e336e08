"""Every operation on every type, run by the kernel, against what Python computes."""

import itertools
import operator
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler import ir
from penstock.lang import Struct
from penstock.lang.types import BOOL, IntType
from tests.compiler.make import (
    INTS,
    NATIVE,
    XDP,
    assign,
    be16,
    be32,
    binary,
    compare,
    const,
    convert,
    field,
    i8,
    i16,
    i64,
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
    unary,
    unit,
    var,
)


class Operands(Struct):
    """What a test puts into the packet, and where the program puts the result."""

    left: u64
    right: u64
    result: u64


OPERANDS = ir.Variable("operands", reference(Operands, nullable=True))


def program(result: ir.Expr) -> ir.Unit:
    """A program that computes `result` from the packet's operands, as 64 bits."""
    return unit(
        [
            assign(OPERANDS, read(XDP, Operands, const(0))),
            if_(is_none(var(OPERANDS)), [ret(const(1))]),
            store(field(live(OPERANDS), "result"), convert(result, u64)),
            ret(const(0)),
        ]
    )


def operand(name: str, kind: IntType) -> ir.Expr:
    return convert(load_(field(live(OPERANDS), name)), kind)


def compute(loaded, left: int, right: int = 0) -> int:
    mask = (1 << 64) - 1
    result = loaded.test_run(struct.pack("=3Q", left & mask, right & mask, 0))
    assert result.retval == 0
    return struct.unpack("=3Q", result.data_out)[2]


def cases(kind: IntType) -> list[int]:
    """The values at which things go wrong."""
    near = [kind.minimum, kind.minimum + 1, kind.maximum - 1, kind.maximum, 0, 1, 2, 3, 7, 10, 100]
    return sorted({kind.wrap(v) for v in [*near, *(-v for v in near)]})


def expected(op: str, kind: IntType, a: int, b: int) -> int:
    """What the operation means, in unlimited integers, before it wraps."""
    match op:
        case "div":
            return a // b if b else 0
        case "mod":
            return a % b if b else a
        case "shl":
            return a << (b & (kind.bits - 1))
        case "shr":
            return a >> (b & (kind.bits - 1))
        case _:
            name = {"and": "and_", "or": "or_"}.get(op, op)
            return getattr(operator, name)(a, b)


OPERATIONS = ["add", "sub", "mul", "div", "mod", "and", "or", "xor", "shl", "shr"]


@pytest.mark.parametrize("kind", NATIVE, ids=repr)
@pytest.mark.parametrize("op", OPERATIONS)
def test_binary(op, kind):
    both = binary(op, operand("left", kind), operand("right", kind))
    with running(program(both)) as (loaded, _):
        for a, b in itertools.product(cases(kind), repeat=2):
            assert kind.wrap(compute(loaded, a, b)) == kind.wrap(expected(op, kind, a, b)), (a, b)


@pytest.mark.parametrize("kind", [u8, u32, u64, i8, i64], ids=repr)
@pytest.mark.parametrize("op", ["div", "mod", "shl", "shr"])
def test_binary_with_a_constant(op, kind):
    for b in (value for value in cases(kind) if abs(value) < 200):
        both = binary(op, operand("left", kind), const(b, kind))
        with running(program(both)) as (loaded, _):
            for a in cases(kind):
                assert kind.wrap(compute(loaded, a)) == kind.wrap(expected(op, kind, a, b)), (a, b)


@pytest.mark.parametrize("kind", [u32, u64], ids=repr)
def test_division_by_the_lowest_bit(kind):
    """LLVM counts trailing zeros for it, by a table of constants if it may; BPF code has none."""
    right = operand("right", kind)
    lowest = binary("and", right, unary("neg", right))
    with running(program(binary("div", operand("left", kind), lowest))) as (loaded, _):
        for a, shift in itertools.product(cases(kind), range(kind.bits)):
            b = kind.wrap(3 << shift)
            assert kind.wrap(compute(loaded, a, b)) == expected("div", kind, kind.wrap(a), b & -b), (a, b)


@settings(max_examples=300)
@given(a=st.integers(i64.minimum, i64.maximum), b=st.integers(i64.minimum, i64.maximum))
def test_signed_division_rounds_down(division, a, b):
    for op, loaded in division.items():
        assert i64.wrap(compute(loaded, a, b)) == i64.wrap(expected(op, i64, a, b))


@pytest.fixture(scope="module")
def division():
    programs = {op: program(binary(op, operand("left", i64), operand("right", i64))) for op in ("div", "mod")}
    with running(programs["div"]) as (div, _), running(programs["mod"]) as (mod, _):
        yield {"div": div, "mod": mod}


@pytest.mark.parametrize("kind", NATIVE, ids=repr)
def test_unary(kind):
    for op, meaning in (("neg", operator.neg), ("invert", operator.invert)):
        with running(program(unary(op, operand("left", kind)))) as (loaded, _):
            for a in cases(kind):
                assert kind.wrap(compute(loaded, a)) == kind.wrap(meaning(a)), (op, a)


@pytest.mark.parametrize("kind", NATIVE, ids=repr)
@pytest.mark.parametrize("op", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_compare(op, kind):
    both = compare(op, operand("left", kind), operand("right", kind))
    with running(program(both)) as (loaded, _):
        for a, b in itertools.product(cases(kind), repeat=2):
            assert compute(loaded, a, b) == getattr(operator, op)(a, b), (a, b)


@pytest.mark.parametrize("target", [*INTS, BOOL], ids=repr)
@pytest.mark.parametrize("source", INTS, ids=repr)
def test_convert(source, target):
    """From 64 bits to the source type, to the target, and back: the value is wrapped, no more."""
    node = convert(operand("left", source), target)
    with running(program(node)) as (loaded, _):
        for a in cases(source):
            wanted = bool(a) if target == BOOL else target.wrap(a)
            assert compute(loaded, a) == u64.wrap(wanted), a


def test_bool_becomes_any_integer():
    for kind in INTS:
        node = convert(compare("eq", operand("left", u64), const(5, u64)), kind)
        with running(program(node)) as (loaded, _):
            assert [compute(loaded, 5), compute(loaded, 6)] == [1, 0]


def test_big_endian_integers_are_kept_as_in_memory():
    node = select(compare("eq", operand("left", be16), const(0x0800, be16)), const(1, u64), const(0, u64))
    with running(program(node)) as (loaded, _):
        assert [compute(loaded, 0x0800), compute(loaded, 0x0008)] == [1, 0]


def test_big_endian_constant_converts_to_its_value():
    with running(program(convert(const(0x01020304, be32), u32))) as (loaded, _):
        assert compute(loaded, 0) == 0x01020304


def test_not_and_logical_values():
    first = compare("eq", operand("left", u64), const(1, u64))
    second = compare("eq", operand("right", u64), const(1, u64))
    for op in ("and", "or"):
        node = unary("not", logical(op, first, second))
        with running(program(node)) as (loaded, _):
            for a, b in itertools.product((0, 1), repeat=2):
                wanted = not ((a and b) if op == "and" else (a or b))
                assert compute(loaded, a, b) == wanted


def test_widths_below_a_register_wrap_between_operations():
    """200 + 100 is 44 in u8 before it is divided."""
    total = binary("add", operand("left", u8), operand("right", u8))
    with running(program(binary("div", total, const(2, u8)))) as (loaded, _):
        assert compute(loaded, 200, 100) == 22
    total = binary("add", operand("left", i16), operand("right", i16))
    with running(program(compare("lt", total, const(0, i16)))) as (loaded, _):
        assert compute(loaded, 32767, 1) == 1
    product = binary("mul", operand("left", u16), operand("right", u16))
    with running(program(binary("shr", product, const(4, u16)))) as (loaded, _):
        assert compute(loaded, 65535, 65535) == 0
