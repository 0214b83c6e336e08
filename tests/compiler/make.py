"""Short names to build IR by hand."""

from __future__ import annotations

from penstock.compiler import ir
from penstock.lang import RingBuf, Tc, Xdp
from penstock.lang.program import ProgramKind
from penstock.lang.types import BOOL, ArrayType, IntType, Type, resolve, u8, u16, u32, u64

AT = ir.Loc(__file__, 1, 1)


def at(line):
    return ir.Loc(__file__, line, 1)


def c(value, kind=u32):
    return ir.Const(loc=AT, type=kind, value=value)


def var(v, kind=None):
    return ir.Var(loc=AT, type=kind or v.type, var=v)


def live(v):
    """The variable after a test for None."""
    return var(v, ir.PointerType(v.type.to, local=v.type.local))


def binary(op, left, right):
    return ir.Binary(loc=AT, type=left.type, op=op, left=left, right=right)


def compare(op, left, right):
    return ir.Compare(loc=AT, type=BOOL, op=op, left=left, right=right)


def is_none(e):
    return compare("eq", e, ir.Null(loc=AT, type=e.type))


def logical(op, left, right):
    return ir.Logical(loc=AT, type=BOOL, op=op, left=left, right=right)


def unary(op, operand):
    return ir.Unary(loc=AT, type=operand.type, op=op, operand=operand)


def convert(operand, kind):
    return ir.Convert(loc=AT, type=kind, operand=operand)


def select(condition, then, otherwise):
    return ir.Select(loc=AT, type=then.type, condition=condition, then=then, otherwise=otherwise)


def assign(v, value):
    return ir.Assign(loc=AT, var=v, value=value)


def ret(*values):
    return ir.Return(loc=AT, values=list(values))


def if_(condition, then, otherwise=()):
    return ir.If(loc=AT, condition=condition, then=list(then), otherwise=list(otherwise))


def while_(condition, body, step=()):
    return ir.While(loc=AT, condition=condition, body=list(body), step=list(step))


def pointer(kind, **flags):
    return ir.PointerType(resolve(kind), **flags)


def field(base, name):
    f = base.type.to.fields[name]
    kind = ir.PointerType(f.type, local=base.type.local)
    return ir.FieldAddress(loc=AT, type=kind, base=base, field=name, offset=f.offset)


def element(base, index):
    kind = ir.PointerType(base.type.to.element, local=base.type.local)
    return ir.ElementAddress(loc=AT, type=kind, base=base, index=index)


def load(p):
    return ir.Load(loc=AT, type=p.type.to, pointer=p)


def store(p, value):
    return ir.Store(loc=AT, pointer=p, value=value)


def storage(s):
    return ir.StorageAddress(loc=AT, type=ir.PointerType(s.type, local=True), storage=s)


def zero(s):
    return ir.Zero(loc=AT, storage=s)


def copy(target, source):
    return ir.Copy(loc=AT, target=target, source=source)


def read(context, kind, offset):
    return ir.PacketRead(loc=AT, type=pointer(kind, nullable=True), context=context, offset=offset)


def helper(name, number, kind, *arguments):
    return ir.HelperCall(loc=AT, type=kind, name=name, number=number, since=(4, 1), arguments=list(arguments))


def call(function, *arguments):
    return ir.Call(loc=AT, type=function.result, function=function, arguments=list(arguments))


def evaluate(e):
    return ir.Evaluate(loc=AT, value=e)


def map_address(m):
    return ir.MapAddress(loc=AT, type=ir.PointerType(None), map=m)


def global_(m):
    return ir.GlobalAddress(loc=AT, type=ir.PointerType(m.value_type), map=m)


def lookup(m, key):
    return helper("map_lookup_elem", 1, pointer(m.value_type, nullable=True), map_address(m), key)


def atomic(op, p, value, expected=None):
    kind = None if op == "add" else value.type
    return ir.Atomic(loc=AT, type=kind, op=op, pointer=p, value=value, expected=expected)


XDP = ir.Variable("packet", ir.ContextType(Xdp))
TC = ir.Variable("packet", ir.ContextType(Tc))


def function(name, params, result, body, *, subprogram=False):
    return ir.Function(name, params, result, subprogram, AT, list(body))


def unit(body, *functions, context=XDP, maps=(), name="main"):
    """A program with `body` as its entry function."""
    kind = ProgramKind.XDP if context is XDP else ProgramKind.SCHED_CLS
    entry = function(name, [context], u32, body)
    maps = list(maps)
    return ir.Unit(name, kind, [entry, *functions], maps, [m.name or f"m{n}" for n, m in enumerate(maps)])
