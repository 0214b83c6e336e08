"""Calls: functions of the program, kernel helpers, kernel functions, the ring buffer."""

from __future__ import annotations

from penstock.compiler import ir
from penstock.compiler.codegen.alignment import pointee
from penstock.compiler.codegen.arithmetic import U64, resize
from penstock.compiler.codegen.builder import (
    Builder,
    expression,
    llvm_type,
    parameter_type,
    result_type,
    statement,
)
from penstock.compiler.target import MAX_ARGUMENTS
from penstock.lang.types import BoolType, IntType

RINGBUF_RESERVE = 131
"""`bpf_ringbuf_reserve` of include/uapi/linux/bpf.h."""

LOOKUPS = frozenset({1, 195})
"""Helpers that change nothing a program could see: map_lookup_elem, map_lookup_percpu_elem."""


@expression(ir.Call)
def _call(b: Builder, node: ir.Call) -> str:
    function = node.function
    values = [b.value(argument) for argument in node.arguments]
    arguments = ", ".join(
        f"{parameter_type(function, param.type)}{value}"
        for param, value in zip(function.params, values, strict=True)
    )
    return _emit(b, result_type(function), f"{b.module.symbol(function)}({arguments})")


def _emit(b: Builder, kind: str, target: str) -> str:
    if kind == "void":
        b.do(f"call void {target}")
        return ""
    return b.let(f"call {kind} {target}")


@statement(ir.Unpack)
def _unpack(b: Builder, node: ir.Unpack) -> None:
    results, kind = b.value(node.call), llvm_type(node.call.type)
    for n, variable in enumerate(node.variables):
        value = b.let(f"extractvalue {kind} {results}, {n}")
        b.do(f"store {llvm_type(variable.type)} {value}, ptr {b.slot(variable)}")


@expression(ir.MapAddress)
def _map_address(b: Builder, node: ir.MapAddress) -> str:
    return b.module.map(node.map)


@expression(ir.FunctionAddress)
def _function_address(b: Builder, node: ir.FunctionAddress) -> str:
    return b.module.symbol(node.function)


@expression(ir.HelperCall)
def _helper_call(b: Builder, node: ir.HelperCall) -> str:
    _check_arguments(b, node, node.name, node.arguments)
    b.module.helpers[node.number] = node.name, node.since
    target = f"inttoptr (i64 {node.number} to ptr)({_wide(b, node.arguments)}) {_effects(node)}"
    return _wide_result(b, node, target)


def _effects(node: ir.HelperCall) -> str:
    """What a helper may touch, so that what was read before need not be read again after it."""
    if not any(_is_pointer(argument) for argument in node.arguments):
        return "memory(inaccessiblemem: readwrite)"
    if node.number in LOOKUPS:
        return "memory(argmem: read, inaccessiblemem: readwrite)"
    return ""


@expression(ir.KfuncCall)
def _kfunc_call(b: Builder, node: ir.KfuncCall) -> str:
    _check_arguments(b, node, node.name, node.arguments)
    kinds = ", ".join("ptr" if _is_pointer(argument) else "i64" for argument in node.arguments)
    b.module.kfuncs.add(node.name)
    b.module.declare(f"declare {_result(node)} @{node.name}({kinds})")
    return _wide_result(b, node, f"@{node.name}({_wide(b, node.arguments)})")


@expression(ir.RingReserve)
def _ring_reserve(b: Builder, node: ir.RingReserve) -> str:
    size = pointee(node).size
    b.module.helpers[RINGBUF_RESERVE] = "ringbuf_reserve", (5, 8)
    arguments = f"ptr {b.module.map(node.map)}, i64 {size}, i64 0"
    record = b.let(f"call ptr inttoptr (i64 {RINGBUF_RESERVE} to ptr)({arguments})")
    full, join = b.label("full"), b.label("reserved")
    b.branch(b.let(f"icmp eq ptr {record}, null"), full, join)
    b.place(full)
    b.let(f"atomicrmw add ptr {b.module.map_value(node.map.losses)}, i64 1 monotonic")
    b.place(join)
    return record


def _wide(b: Builder, arguments: list[ir.Expr]) -> str:
    """Evaluate arguments; return them as pointers and 64-bit integers."""
    operands: list[str] = []
    for argument in arguments:
        value = b.value(argument)
        if _is_pointer(argument):
            operands.append(f"ptr {value}")
        else:
            operands.append(f"i64 {resize(b, value, argument.type, U64)}")
    return ", ".join(operands)


def _result(node: ir.Expr) -> str:
    if node.type is None:
        return "void"
    return "i64" if isinstance(node.type, IntType | BoolType) else "ptr"


def _wide_result(b: Builder, node: ir.Expr, target: str) -> str:
    """Call; cut the 64 bits of the result to the node's type."""
    value = _emit(b, _result(node), target)
    if isinstance(node.type, BoolType):
        return b.let(f"icmp ne i64 {value}, 0")
    return resize(b, value, U64, node.type) if isinstance(node.type, IntType) else value


def _is_pointer(node: ir.Expr) -> bool:
    return not isinstance(node.type, IntType | BoolType)


def _check_arguments(b: Builder, node: ir.Expr, name: str, arguments: list[ir.Expr]) -> None:
    if len(arguments) > MAX_ARGUMENTS:
        message = f"{name} is called with {len(arguments)} arguments: BPF passes {MAX_ARGUMENTS}"
        raise b.error(message, node.loc)
