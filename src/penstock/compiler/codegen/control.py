"""Branches, loops, and expressions that evaluate only one side."""

from __future__ import annotations

from penstock.compiler import ir
from penstock.compiler.codegen.builder import Builder, Loop, expression, llvm_type, statement


def branch_on(b: Builder, condition: ir.Expr, then: str, otherwise: str) -> None:
    """Go to one of two blocks by a truth value, straight through `and`, `or` and `not`."""
    match condition:
        case ir.Logical():
            rest = b.label(condition.op)
            first = (rest, otherwise) if condition.op == "and" else (then, rest)
            branch_on(b, condition.left, *first)
            b.place(rest)
            branch_on(b, condition.right, then, otherwise)
        case ir.Unary(op="not"):
            branch_on(b, condition.operand, otherwise, then)
        case ir.Sequence():
            b.run(condition.statements)
            branch_on(b, condition.value, then, otherwise)
        case _:
            b.branch(b.value(condition), then, otherwise)


@expression(ir.Logical)
def _logical(b: Builder, node: ir.Logical) -> str:
    rest, join = b.label(node.op), b.label("either")
    left, first = b.value(node.left), b.block
    b.branch(left, *((rest, join) if node.op == "and" else (join, rest)))
    b.place(rest)
    right, second = b.value(node.right), b.block
    b.place(join)
    return b.phi("i1", ("false" if node.op == "and" else "true", first), (right, second))


@expression(ir.Select)
def _select(b: Builder, node: ir.Select) -> str:
    then, otherwise, join = b.label("then"), b.label("else"), b.label("selected")
    branch_on(b, node.condition, then, otherwise)
    b.place(then)
    yes, yes_block = b.value(node.then), b.block
    b.jump(join)
    b.place(otherwise)
    no, no_block = b.value(node.otherwise), b.block
    b.place(join)
    return b.phi(llvm_type(node.type), (yes, yes_block), (no, no_block))


@expression(ir.Sequence)
def _sequence(b: Builder, node: ir.Sequence) -> str:
    b.run(node.statements)
    return b.value(node.value)


@statement(ir.If)
def _if(b: Builder, node: ir.If) -> None:
    then, join = b.label("then"), b.label("end")
    otherwise = b.label("else") if node.otherwise else join
    branch_on(b, node.condition, then, otherwise)
    b.place(then)
    b.run(node.then)
    if node.otherwise:
        if not b.ended:
            b.jump(join)
        b.place(otherwise)
        b.run(node.otherwise)
    b.place(join)


@statement(ir.While)
def _while(b: Builder, node: ir.While) -> None:
    head, body, step, end = b.label("while"), b.label("body"), b.label("step"), b.label("end")
    b.place(head)
    branch_on(b, node.condition, body, end)
    b.place(body)
    b.loops.append(Loop(step, end))
    b.run(node.body)
    b.loops.pop()
    b.place(step)
    b.run(node.step)
    b.jump(head)
    b.place(end)


@statement(ir.Break)
def _break(b: Builder, _node: ir.Break) -> None:
    b.jump(b.loops[-1].end)


@statement(ir.Continue)
def _continue(b: Builder, _node: ir.Continue) -> None:
    b.jump(b.loops[-1].step)


@statement(ir.Return)
def _return(b: Builder, node: ir.Return) -> None:
    kind = llvm_type(b.function.result)
    values = [b.value(value) for value in node.values]
    if not isinstance(b.function.result, ir.TupleType):
        b.end(f"ret {kind} {values[0]}" if values else "ret void")
        return
    result = "poison"
    for n, (value, item) in enumerate(zip(values, b.function.result.items, strict=True)):
        result = b.let(f"insertvalue {kind} {result}, {llvm_type(item)} {value}, {n}")
    b.end(f"ret {kind} {result}")


@statement(ir.Evaluate)
def _evaluate(b: Builder, node: ir.Evaluate) -> None:
    b.value(node.value)
