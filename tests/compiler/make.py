"""Short names to build IR by hand, and to run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.compiler import ir
from penstock.compiler.build import compile_unit
from penstock.kernel import Loaded, load
from penstock.kernel.program import Program
from penstock.lang import Tc, Xdp
from penstock.lang.maps import MapSpec
from penstock.lang.program import ProgramKind
from penstock.lang.struct import StructType
from penstock.lang.types import BOOL, ArrayType, IntType, Type, resolve

u8, u16, u32, u64 = (IntType(f"u{bits}", bits) for bits in (8, 16, 32, 64))
i8, i16, i32, i64 = (IntType(f"i{bits}", bits, signed=True) for bits in (8, 16, 32, 64))
be16, be32, be64 = (IntType(f"be{bits}", bits, big_endian=True) for bits in (16, 32, 64))
NATIVE = [u8, u16, u32, u64, i8, i16, i32, i64]
INTS = [*NATIVE, be16, be32, be64]

HERE = ir.Loc(__file__, 1, 1)
XDP = ir.Variable("packet", ir.ContextType(Xdp))
TC = ir.Variable("packet", ir.ContextType(Tc))


def const(value: int, kind: Type = u32) -> ir.Const:
    return ir.Const(loc=HERE, type=kind, value=int(value))


def var(variable: ir.Variable) -> ir.Var:
    return ir.Var(loc=HERE, type=variable.type, var=variable)


def live(variable: ir.Variable) -> ir.Var:
    """A nullable reference, after it was tested for None."""
    assert isinstance(variable.type, ir.PointerType)
    kind = ir.PointerType(variable.type.to, local=variable.type.local)
    return ir.Var(loc=HERE, type=kind, var=variable)


def binary(op: Any, left: ir.Expr, right: ir.Expr) -> ir.Binary:
    return ir.Binary(loc=HERE, type=left.type, op=op, left=left, right=right)


def compare(op: Any, left: ir.Expr, right: ir.Expr) -> ir.Compare:
    return ir.Compare(loc=HERE, type=BOOL, op=op, left=left, right=right)


def is_none(node: ir.Expr) -> ir.Compare:
    return compare("eq", node, ir.Null(loc=HERE, type=node.type))


def logical(op: Any, left: ir.Expr, right: ir.Expr) -> ir.Logical:
    return ir.Logical(loc=HERE, type=BOOL, op=op, left=left, right=right)


def unary(op: Any, operand: ir.Expr) -> ir.Unary:
    return ir.Unary(loc=HERE, type=operand.type, op=op, operand=operand)


def convert(operand: ir.Expr, kind: Type) -> ir.Convert:
    return ir.Convert(loc=HERE, type=kind, operand=operand)


def select(condition: ir.Expr, then: ir.Expr, otherwise: ir.Expr) -> ir.Select:
    return ir.Select(loc=HERE, type=then.type, condition=condition, then=then, otherwise=otherwise)


def walrus(variable: ir.Variable, value: ir.Expr) -> ir.AssignExpr:
    return ir.AssignExpr(loc=HERE, type=variable.type, var=variable, value=value)


def assign(variable: ir.Variable, value: ir.Expr) -> ir.Assign:
    return ir.Assign(loc=HERE, var=variable, value=value)


def ret(*values: ir.Expr) -> ir.Return:
    return ir.Return(loc=HERE, values=list(values))


def if_(condition: ir.Expr, then: Iterable[ir.Stmt], otherwise: Iterable[ir.Stmt] = ()) -> ir.If:
    return ir.If(loc=HERE, condition=condition, then=list(then), otherwise=list(otherwise))


def while_(condition: ir.Expr, body: Iterable[ir.Stmt], step: Iterable[ir.Stmt] = ()) -> ir.While:
    return ir.While(loc=HERE, condition=condition, body=list(body), step=list(step))


def count_to(counter: ir.Variable, limit: ir.Expr, body: Iterable[ir.Stmt]) -> list[ir.Stmt]:
    """`for counter in range(limit)`."""
    step = assign(counter, binary("add", var(counter), const(1, counter.type)))
    return [assign(counter, const(0, counter.type)), while_(compare("lt", var(counter), limit), body, [step])]


def reference(kind: Any, *, nullable: bool = False, local: bool = False) -> ir.PointerType:
    return ir.PointerType(resolve(kind), nullable=nullable, local=local)


def field(base: ir.Expr, name: str) -> ir.FieldAddress:
    assert isinstance(base.type, ir.PointerType)
    assert isinstance(base.type.to, StructType)
    member = base.type.to.fields[name]
    kind = ir.PointerType(member.type, local=base.type.local)
    return ir.FieldAddress(loc=HERE, type=kind, base=base, field=name, offset=member.offset)


def element(base: ir.Expr, index: ir.Expr) -> ir.ElementAddress:
    assert isinstance(base.type, ir.PointerType)
    assert isinstance(base.type.to, ArrayType)
    kind = ir.PointerType(base.type.to.element, local=base.type.local)
    return ir.ElementAddress(loc=HERE, type=kind, base=base, index=index)


def load_(pointer: ir.Expr) -> ir.Load:
    assert isinstance(pointer.type, ir.PointerType)
    return ir.Load(loc=HERE, type=pointer.type.to, pointer=pointer)


def store(pointer: ir.Expr, value: ir.Expr) -> ir.Store:
    return ir.Store(loc=HERE, pointer=pointer, value=value)


def address(storage: ir.Storage) -> ir.StorageAddress:
    return ir.StorageAddress(loc=HERE, type=ir.PointerType(storage.type, local=True), storage=storage)


def zero(storage: ir.Storage) -> ir.Zero:
    return ir.Zero(loc=HERE, storage=storage)


def copy(target: ir.Expr, source: ir.Expr) -> ir.Copy:
    return ir.Copy(loc=HERE, target=target, source=source)


def read(context: ir.Variable, kind: Any, offset: ir.Expr) -> ir.PacketRead:
    return ir.PacketRead(loc=HERE, type=reference(kind, nullable=True), context=var(context), offset=offset)


def helper(name: str, number: int, kind: Type | None, *arguments: ir.Expr) -> ir.HelperCall:
    return ir.HelperCall(
        loc=HERE, type=kind, name=name, number=number, since=(4, 1), arguments=list(arguments)
    )


def call(function: ir.Function, *arguments: ir.Expr) -> ir.Call:
    return ir.Call(loc=HERE, type=function.result, function=function, arguments=list(arguments))


def evaluate(node: ir.Expr) -> ir.Evaluate:
    return ir.Evaluate(loc=HERE, value=node)


def map_(spec: MapSpec) -> ir.MapAddress:
    return ir.MapAddress(loc=HERE, type=ir.PointerType(None), map=spec)


def callback(function: ir.Function) -> ir.FunctionAddress:
    return ir.FunctionAddress(loc=HERE, type=ir.PointerType(None), function=function)


def global_(spec: Any) -> ir.GlobalAddress:
    return ir.GlobalAddress(loc=HERE, type=ir.PointerType(spec.value_type), map=spec)


def lookup(spec: MapSpec, key: ir.Expr) -> ir.HelperCall:
    kind = ir.PointerType(spec.value_type, nullable=True)
    return helper("map_lookup_elem", 1, kind, map_(spec), key)


def atomic(op: Any, pointer: ir.Expr, value: ir.Expr, expected: ir.Expr | None = None) -> ir.Atomic:
    kind = None if op == "add" else value.type
    return ir.Atomic(loc=HERE, type=kind, op=op, pointer=pointer, value=value, expected=expected)


def function(
    name: str,
    params: list[ir.Variable],
    result: Type | None,
    body: Iterable[ir.Stmt],
    *,
    subprogram: bool = False,
    loc: ir.Loc = HERE,
) -> ir.Function:
    return ir.Function(name, params, result, subprogram, loc, list(body))


def unit(
    body: Iterable[ir.Stmt],
    *functions: ir.Function,
    context: ir.Variable = XDP,
    maps: Iterable[MapSpec] = (),
    loc: ir.Loc = HERE,
) -> ir.Unit:
    """A program with `body` as its entry function."""
    kind = ProgramKind.XDP if context is XDP else ProgramKind.SCHED_CLS
    entry = function("main", [context], u32, body, loc=loc)
    maps = list(maps)
    return ir.Unit("main", kind, [entry, *functions], maps, [m.name or f"m{n}" for n, m in enumerate(maps)])


@contextmanager
def running(program: ir.Unit) -> Iterator[tuple[Program, Loaded]]:
    """Compile and load; yield the program in the kernel and what owns it."""
    spec = compile_unit(program)
    with load(spec) as loaded:
        yield loaded[spec], loaded
