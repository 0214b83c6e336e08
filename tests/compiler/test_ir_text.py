"""IR as text."""

from penstock.compiler import ir
from penstock.compiler.ir_text import dump
from penstock.lang import Array, Global, HashMap, RingBuf, Struct, array, be16
from tests.compiler.make import (
    HERE,
    XDP,
    address,
    assign,
    atomic,
    binary,
    call,
    compare,
    const,
    convert,
    copy,
    count_to,
    element,
    evaluate,
    field,
    function,
    global_,
    if_,
    is_none,
    live,
    load_,
    logical,
    lookup,
    read,
    reference,
    ret,
    select,
    store,
    u8,
    u32,
    u64,
    unary,
    unit,
    var,
    walrus,
    zero,
)


class Header(Struct, packed=True):
    ports: Array[be16] = array(2)
    length: u8


FLOWS = HashMap(u32, Header, 8, name="flows")
COUNT = Global(u64, name="count")
RING = RingBuf(Header, 4096, name="ring")

EXPECTED = """\
xdp program main
map flows: HashMap(u32 -> Header, 8)
map count: Global(u32 -> u64, 1)
map ring: RingBuf(None -> None, 4096)

def main(packet: Xdp) -> u32:
    header: Header | None = read(packet, Header, 14:u32)
    if ((header == None) or not (header.length > 5:u8)):
        return 0:u32
    zero copy: Header
    copy copy.ports = header.ports
    copy.ports[1:u32] = 80:be16
    count.value = (count.value + u64(header.length))
    atomic add(count.value, 1:u64)
    i: u32 = 0:u32
    while (i < 3:u32):
        i.2: u32 = (i << 2:u32)
        if (i.2 == 4:u32):
            continue
        else:
            break
    step:
        i = (i + 1:u32)
    flow: Header | None = helper map_lookup_elem(flows, copy) -> Header | None
    t.2: u32 = (t: u32 := (7:u32 if True else packet[12]:u32))
    a: u32, b: u32 = pair(~t.2)
    reserve(ring, Header)
    return len(packet)

subprogram def pair(x: u32) -> (u32, u32):
    return x, -x
"""


def program() -> ir.Unit:
    header = ir.Variable("header", reference(Header, nullable=True))
    flow, i, inner = ir.Variable("flow", header.type), ir.Variable("i", u32), ir.Variable("i", u32)
    t, u, a, b, x = (ir.Variable(name, u32) for name in ("", "", "a", "b", "x"))
    local = ir.Storage("copy", Header.__layout__)
    length = load_(field(live(header), "length"))
    kind = ir.TupleType((u32, u32))
    pair = function("pair", [x], kind, [ret(var(x), unary("neg", var(x)))], subprogram=True)
    either = [ir.Continue(loc=HERE)], [ir.Break(loc=HERE)]
    loop = [
        assign(inner, binary("shl", var(i), const(2))),
        if_(compare("eq", var(inner), const(4)), *either),
    ]
    interface = ir.ContextLoad(loc=HERE, type=u32, context=var(XDP), offset=12)
    true = ir.Const(loc=HERE, type=compare("eq", var(i), var(i)).type, value=1)
    body = [
        assign(header, read(XDP, Header, const(14))),
        if_(
            logical("or", is_none(var(header)), unary("not", compare("gt", length, const(5, u8)))),
            [ret(const(0))],
        ),
        zero(local),
        copy(field(address(local), "ports"), field(live(header), "ports")),
        store(element(field(address(local), "ports"), const(1)), const(80, be16)),
        store(global_(COUNT), binary("add", load_(global_(COUNT)), convert(length, u64))),
        evaluate(atomic("add", global_(COUNT), const(1, u64))),
        *count_to(i, const(3), loop),
        assign(flow, lookup(FLOWS, address(local))),
        assign(t, walrus(u, select(true, const(7), interface))),
        ir.Unpack(loc=HERE, variables=[a, b], call=call(pair, unary("invert", var(t)))),
        evaluate(ir.RingReserve(loc=HERE, type=header.type, map=RING)),
        ret(ir.PacketLength(loc=HERE, type=u32, context=var(XDP))),
    ]
    return unit(body, pair, maps=[FLOWS, COUNT, RING])


def test_dump():
    assert dump(program()) == EXPECTED
