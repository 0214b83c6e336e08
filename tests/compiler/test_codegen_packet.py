"""Packet reads: right for every offset and length, and cheap to verify."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler import ir
from penstock.compiler.build import compile_unit
from penstock.compiler.frontend import lower
from penstock.kernel.attributes import ProgInfo
from penstock.kernel.handle import object_info
from penstock.lang import Array, Struct, Tc, Xdp, array, be16, be32, helpers, tc, xdp
from penstock.lang import u8 as byte
from penstock.lang import u16 as half
from penstock.lang import u32 as word
from penstock.lang import u64 as long
from tests.compiler.make import (
    HERE,
    TC,
    XDP,
    assign,
    binary,
    const,
    convert,
    field,
    if_,
    is_none,
    live,
    load_,
    read,
    reference,
    ret,
    running,
    u8,
    u16,
    u32,
    u64,
    unit,
    var,
)


class Triple(Struct, packed=True):
    first: byte
    second: be32
    third: half


class Question(Struct, packed=True):
    offset: long


ABSENT = 0x7FFF_FFFF
QUESTION = ir.Variable("question", reference(Question, nullable=True))
TRIPLE = ir.Variable("triple", reference(Triple, nullable=True))


def reader(kind, offset: ir.Expr | None = None) -> ir.Unit:
    """A program that returns `second` of the Triple at the offset that the packet's first 8 bytes say."""
    if offset is None:
        offset = convert(load_(field(live(QUESTION), "offset")), kind)
    return unit(
        [
            assign(QUESTION, read(XDP, Question, const(0))),
            if_(is_none(var(QUESTION)), [ret(const(ABSENT))]),
            assign(TRIPLE, read(XDP, Triple, offset)),
            if_(is_none(var(TRIPLE)), [ret(const(ABSENT))]),
            ret(convert(load_(field(live(TRIPLE), "second")), u32)),
        ]
    )


def wanted(packet: bytes, offset: int) -> int:
    if offset + 7 > len(packet):
        return ABSENT
    return struct.unpack_from(">i", packet, offset + 1)[0]


@pytest.fixture(scope="module", params=[u8, u16, u32, u64], ids=repr)
def by_variable(request):
    with running(reader(request.param)) as (loaded, _):
        yield request.param, loaded


@settings(max_examples=200)
@given(
    length=st.integers(14, 3000),
    offset=st.one_of(
        st.integers(0, 3100),
        st.sampled_from(
            [0xFFFF - 7, 0xFFFF - 6, 0xFFFF, 0x10000, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 8]
        ),
        st.integers(0, (1 << 64) - 1),
    ),
)
def test_variable_offset(by_variable, length, offset):
    kind, loaded = by_variable
    packet = struct.pack("=Q", offset) + bytes(n * 7 & 255 for n in range(length - 8))
    assert loaded.test_run(packet).retval == wanted(packet, kind.wrap(offset))


@pytest.mark.parametrize("offset", [8, 9, 57, 58, 200, 0xFFFF - 7, 0x10000])
def test_constant_offset(offset):
    packet = struct.pack("=Q", 0) + bytes(range(56))
    with running(reader(u64, const(offset, u64))) as (loaded, _):
        assert loaded.test_run(packet).retval == wanted(packet, offset)


def kind_at(packet: Xdp, offset: word) -> word:
    found = packet.read(be16, offset)
    return 0 if found is None else word(half(found.value))


@xdp
def inlined(packet: Xdp) -> int:
    return kind_at(packet, 12)


@xdp
def direct(packet: Xdp) -> int:
    found = packet.read(be16, 12)
    return 0 if found is None else word(half(found.value))


def test_offset_that_inlining_makes_constant_costs_nothing():
    """Its way through the stack, and the check that it is in bounds, are gone."""
    assert len(compile_unit(lower(inlined)).code) <= len(compile_unit(lower(direct)).code)


class Ethernet(Struct, packed=True):
    destination: Array[byte] = array(6)
    source: Array[byte] = array(6)
    kind: be16


class Tag(Struct, packed=True):
    tci: be16
    kind: be16


class Extension(Struct, packed=True):
    following: byte
    length: byte


class Option(Struct, packed=True):
    kind: byte
    length: byte


def inner_kind(packet: Xdp) -> tuple[half, word]:
    """Skip up to eight VLAN tags."""
    ethernet = packet.read(Ethernet, 0)
    if ethernet is None:
        return 0, 0
    kind = half(ethernet.kind)
    offset: word = 14
    for _ in range(8):
        if kind not in (0x8100, 0x88A8):
            break
        tag = packet.read(Tag, offset)
        if tag is None:
            return 0, 0
        kind = half(tag.kind)
        offset += 4
    return kind, offset


@xdp
def walk(packet: Xdp) -> int:
    """Skip tags and IPv6 extension headers, then sum option kinds: three loops one after the other."""
    kind, offset = inner_kind(packet)
    if kind != 0x86DD:
        return 1
    following: byte = 0
    offset += 40
    for _ in range(8):
        extension = packet.read(Extension, offset)
        if extension is None:
            return 2
        offset += (word(extension.length) + 1) * 8
        following = extension.following
        if following == 59:
            break
    total: word = 100
    for _ in range(10):
        option = packet.read(Option, offset)
        if option is None or option.kind == 0:
            break
        total += word(option.kind)
        offset += 1 if option.kind == 1 else word(option.length)
    return total


def walked(tags: int, extensions: int, options: bytes) -> bytes:
    packet = bytes(12) + b"\x81\x00\x00\x01" * tags + b"\x86\xdd" + bytes(40)
    for n in range(extensions):
        packet += bytes([59 if n == extensions - 1 else 0, n]) + bytes(6 + 8 * n)
    return packet + options


def test_loops_over_headers():
    with running(lower(walk)) as (loaded, _):
        for tags in (0, 1, 8):
            for extensions in (1, 3, 8):
                packet = walked(tags, extensions, bytes([5, 3, 0, 1, 1, 7, 2, 0]))
                assert loaded.test_run(packet).retval == 100 + 5 + 1 + 1 + 7


def test_loops_over_headers_are_verified_quickly():
    """Loops one after the other add up; they would multiply if the verifier kept each offset apart."""
    with running(lower(walk)) as (loaded, _):
        assert object_info(loaded.fileno(), ProgInfo).verified_insns < 5000


@tc
def pulled(packet: Tc) -> int:
    """What was read before the packet moves is read again."""
    first = packet.read(byte, 3)
    if first is None:
        return 1
    before = word(first.value)
    if helpers.pull(packet, 40) < 0:
        return 2
    again = packet.read(byte, 3)
    late = packet.read(byte, 39)
    if again is None or late is None:
        return 3
    return before * 10000 + word(again.value) * 100 + word(late.value)


@xdp
def trimmed(packet: Xdp) -> int:
    """After the end moves, what lay behind it is no longer there."""
    last = packet.read(byte, 63)
    if last is None:
        return 1
    if helpers.xdp_adjust_tail(packet, -10) != 0:
        return 2
    return 3 if packet.read(byte, 63) is None else 4


def test_reads_after_the_packet_moved():
    with running(lower(pulled)) as (loaded, _):
        assert loaded.test_run(bytes(range(64))).retval == 30339
    with running(lower(trimmed)) as (loaded, _):
        assert loaded.test_run(bytes(64)).retval == 3


def find(packet: Xdp, at: word) -> Option | None:
    option = packet.read(Option, at)
    if option is None or option.kind == 0:
        return None
    return option


@xdp
def several(packet: Xdp) -> int:
    """References of several reads at once, some through functions that return None."""
    first = find(packet, 20)
    start = packet.read(Option, 0)
    if first is None or start is None:
        return 1
    second = find(packet, word(start.kind))
    third = find(packet, word(start.length))
    if second is None:
        return word(first.length) if third is None else word(third.length)
    if third is None:
        return word(second.length) + word(first.kind)
    start.kind = third.kind
    return word(first.length) * 10000 + word(second.length) * 100 + word(third.length)


def test_several_references_at_once():
    def packet(second: int, third: int) -> bytes:
        return bytes([second, third]) + bytes(n if n >= 18 else 0 for n in range(2, 64))

    with running(lower(several)) as (loaded, _):
        result = loaded.test_run(packet(30, 40))
        assert result.retval == 21 * 10000 + 31 * 100 + 41
        assert result.data_out[0] == 40
        assert loaded.test_run(packet(10, 40)).retval == 41
        assert loaded.test_run(packet(30, 200)).retval == 31 + 20
        assert loaded.test_run(packet(10, 10)).retval == 21
        assert loaded.test_run(bytes(64)).retval == 1


@pytest.mark.parametrize("context", [XDP, TC], ids=["xdp", "tc"])
def test_length_of_what_can_be_read(context):
    node = ir.PacketLength(loc=HERE, type=u32, context=var(context))
    with running(unit([ret(node)], context=context)) as (loaded, _):
        for length in (14, 100, 1500):
            assert loaded.test_run(bytes(length)).retval == length


def test_length_is_a_number_like_any_other():
    length = ir.PacketLength(loc=HERE, type=u32, context=var(XDP))
    node = binary("add", binary("div", length, const(7)), length)
    with running(unit([ret(node)])) as (loaded, _):
        assert loaded.test_run(bytes(100)).retval == 114


@tc
def marked(packet: Tc) -> int:
    """Context members of 32 and 64 bits, read at constant offsets on both sides of a branch."""
    packet.priority = packet.mark + 1
    packet.tstamp = 1 << 40
    chosen = packet.mark if packet.length > 100 else packet.priority
    return chosen + word(packet.tstamp >> 40)


def test_context():
    with running(lower(marked)) as (loaded, _):
        result = loaded.test_run(bytes(64), context={"mark": 5, "priority": 0})
        assert (result.retval, result.context["priority"]) == (7, 6)
        assert loaded.test_run(bytes(200), context={"mark": 5}).retval == 6
