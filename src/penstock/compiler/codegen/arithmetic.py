"""Constants, arithmetic, comparisons and conversions."""

from __future__ import annotations

import sys

from penstock.compiler import ir
from penstock.compiler.codegen.builder import Builder, expression, llvm_type
from penstock.lang.types import IntType, Type

U64 = IntType("u64", 64)

_PLAIN = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}


@expression(ir.Const)
def _constant(_b: Builder, node: ir.Const) -> str:
    if not isinstance(node.type, IntType):
        return "true" if node.value else "false"
    if node.type.big_endian and sys.byteorder == "little":
        return str(int.from_bytes(node.value.to_bytes(node.type.size, "big"), "little"))
    return str(node.value)


@expression(ir.Null)
def _null(_b: Builder, _node: ir.Null) -> str:
    return "null"


@expression(ir.Unary)
def _unary(b: Builder, node: ir.Unary) -> str:
    operand, kind = b.value(node.operand), llvm_type(node.type)
    match node.op:
        case "neg":
            return b.let(f"sub {kind} 0, {operand}")
        case "invert":
            return b.let(f"xor {kind} {operand}, -1")
        case "not":
            return b.let(f"xor i1 {operand}, true")


@expression(ir.Binary)
def _binary(b: Builder, node: ir.Binary) -> str:
    assert isinstance(node.type, IntType)
    left, right = b.value(node.left), b.value(node.right)
    if node.op in _PLAIN:
        return b.let(f"{_PLAIN[node.op]} {llvm_type(node.type)} {left}, {right}")
    if node.op in ("shl", "shr"):
        return _shift(b, node, left, right)
    if isinstance(node.right, ir.Const) and node.right.value == 0:
        return "0" if node.op == "div" else left
    if node.type.signed:
        return _divide_signed(b, node, left, right)
    quotient, remainder = _divide(b, node, left, right)
    return quotient if node.op == "div" else remainder


def _shift(b: Builder, node: ir.Binary, value: str, count: str) -> str:
    assert isinstance(node.type, IntType)
    kind, mask = llvm_type(node.type), node.type.bits - 1
    if isinstance(node.right, ir.Const):
        count = str(node.right.value & mask)
    else:
        count = b.let(f"and {kind} {count}, {mask}")
    right = "ashr" if node.type.signed else "lshr"
    return b.let(f"{'shl' if node.op == 'shl' else right} {kind} {value}, {count}")


def _divide(b: Builder, node: ir.Binary, left: str, right: str) -> tuple[str, str]:
    """Unsigned quotient and remainder; dividing by 0 gives 0 and the dividend, undefined in LLVM."""
    kind = llvm_type(node.type)
    if isinstance(node.right, ir.Const):
        return b.let(f"udiv {kind} {left}, {right}"), b.let(f"urem {kind} {left}, {right}")
    zero = b.let(f"icmp eq {kind} {right}, 0")
    divisor = b.let(f"select i1 {zero}, {kind} 1, {kind} {right}")
    quotient, remainder = b.let(f"udiv {kind} {left}, {divisor}"), b.let(f"urem {kind} {left}, {divisor}")
    return (
        b.let(f"select i1 {zero}, {kind} 0, {kind} {quotient}"),
        b.let(f"select i1 {zero}, {kind} {left}, {kind} {remainder}"),
    )


def _divide_signed(b: Builder, node: ir.Binary, left: str, right: str) -> str:
    """Round down, on magnitudes: BPF before v4 divides unsigned numbers only.

    With |a| = q·|b| + r, the quotient of different signs is -q, one less if r is not 0; the remainder is r
    with the sign of a, plus b if the signs differ.
    """
    kind = llvm_type(node.type)
    negative = b.let(f"icmp slt {kind} {left}, 0")
    differ = b.let(f"icmp slt {kind} {b.let(f'xor {kind} {left}, {right}')}, 0")
    quotient, rest = _divide(b, node, _magnitude(b, kind, left), _magnitude(b, kind, right))
    exact = b.let(f"icmp eq {kind} {rest}, 0")
    if node.op == "div":
        below = b.let(f"select i1 {exact}, {kind} 0, {kind} -1")
        minus = b.let(f"sub {kind} {below}, {quotient}")
        answer = b.let(f"select i1 {differ}, {kind} {minus}, {kind} {quotient}")
        return answer if isinstance(node.right, ir.Const) else _unless_zero(b, kind, right, answer, "0")
    signed = b.let(f"select i1 {negative}, {kind} {b.let(f'sub {kind} 0, {rest}')}, {kind} {rest}")
    moved = b.let(f"select i1 {differ}, {kind} {b.let(f'add {kind} {signed}, {right}')}, {kind} {signed}")
    return b.let(f"select i1 {exact}, {kind} 0, {kind} {moved}")


def _unless_zero(b: Builder, kind: str, divisor: str, value: str, otherwise: str) -> str:
    return b.let(f"select i1 {b.let(f'icmp eq {kind} {divisor}, 0')}, {kind} {otherwise}, {kind} {value}")


def _magnitude(b: Builder, kind: str, value: str) -> str:
    minus = b.let(f"sub {kind} 0, {value}")
    return b.let(f"select i1 {b.let(f'icmp slt {kind} {value}, 0')}, {kind} {minus}, {kind} {value}")


@expression(ir.Compare)
def _compare(b: Builder, node: ir.Compare) -> str:
    left, right = b.value(node.left), b.value(node.right)
    if isinstance(node.left.type, ir.PointerType):
        _stay(b)
    op: str = node.op
    if op not in ("eq", "ne"):
        signed = isinstance(node.left.type, IntType) and node.left.type.signed
        op = ("s" if signed else "u") + op
    return b.let(f"icmp {op} {llvm_type(node.left.type)} {left}, {right}")


def _stay(b: Builder) -> None:
    """Write an empty instruction that must not move, so that what follows is not done before a branch to it.

    LLVM would make one test of two: `a is None and b is None` became `a | b == 0`, and the verifier allows no
    such arithmetic on pointers.
    """
    b.do('call void asm sideeffect "", ""() memory(inaccessiblemem: readwrite)')


@expression(ir.Convert)
def _convert(b: Builder, node: ir.Convert) -> str:
    value, source = b.value(node.operand), node.operand.type
    if not isinstance(node.type, IntType):
        return b.let(f"icmp ne {llvm_type(source)} {value}, 0")
    if isinstance(source, IntType) and source.big_endian != node.type.big_endian:
        if source.big_endian:
            return resize(b, _swap(b, source, value), source, node.type)
        return _swap(b, node.type, resize(b, value, source, node.type))
    if isinstance(source, IntType) and source.big_endian and source.bits != node.type.bits:
        return _swap(b, node.type, resize(b, _swap(b, source, value), source, node.type))
    value = resize(b, value, source, node.type)
    swapped = node.type.big_endian and not isinstance(source, IntType)
    return _swap(b, node.type, value) if swapped else value


def resize(b: Builder, value: str, source: Type | None, target: IntType) -> str:
    """Truncate, or extend by the sign of `source`."""
    bits = source.bits if isinstance(source, IntType) else 1
    if bits == target.bits:
        return value
    if bits > target.bits:
        op = "trunc"
    else:
        op = "sext" if isinstance(source, IntType) and source.signed else "zext"
    return b.let(f"{op} i{bits} {value} to i{target.bits}")


def _swap(b: Builder, kind: IntType, value: str) -> str:
    """Between big-endian and native."""
    if sys.byteorder == "big":
        return value
    name = f"@llvm.bswap.i{kind.bits}"
    b.module.declare(f"declare i{kind.bits} {name}(i{kind.bits})")
    return b.let(f"call i{kind.bits} {name}(i{kind.bits} {value})")
