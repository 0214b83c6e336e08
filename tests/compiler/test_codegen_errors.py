"""What BPF cannot do is a CompileError at its place; LLVM never speaks, and never ends the process."""

import pytest

from penstock.compiler import ir
from penstock.compiler.backend import object_code
from penstock.compiler.build import compile_unit
from penstock.compiler.codegen import Assembly, emit
from penstock.errors import CompileError
from penstock.lang.types import ArrayType
from tests.compiler.make import (
    HERE,
    XDP,
    address,
    assign,
    binary,
    call,
    compare,
    const,
    convert,
    element,
    evaluate,
    function,
    helper,
    i64,
    if_,
    is_none,
    live,
    load_,
    read,
    reference,
    ret,
    u8,
    u32,
    u64,
    unit,
    var,
    zero,
)

SOURCE = "import this\n\n\ndef program(packet):\n    x = a * b // b\n"
PLACE = ir.Loc("mine.py", 5, 9)


def source_of(file: str) -> str | None:
    return SOURCE if file == "mine.py" else None


def refuse(program: ir.Unit, capfd) -> CompileError:
    """Compile what cannot be; return the error, when nothing was printed."""
    with pytest.raises(CompileError) as caught:
        compile_unit(program, source_of=source_of)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    return caught.value


def big(size: int) -> list[ir.Stmt]:
    """Use an array of so many bytes on the stack."""
    storage = ir.Storage("buffer", ArrayType(u8, size))
    first = convert(load_(element(address(storage), const(0))), u32)
    return [
        zero(storage),
        evaluate(helper("trace_vprintk", 6, i64, address(storage), const(size))),
        ret(first),
    ]


def test_too_much_stack_names_function_and_limit(capfd):
    error = refuse(unit(big(600), loc=ir.Loc("mine.py", 4, 1)), capfd)
    assert "main" in error.message
    assert "600 bytes" in error.message
    assert "512" in error.message
    assert (error.file, error.line, error.source) == ("mine.py", 4, "def program(packet):")


def test_stack_of_a_subprogram_is_its_own(capfd):
    inner = function("inner", [], u32, big(520), subprogram=True, loc=ir.Loc("mine.py", 4, 1))
    error = refuse(unit([ret(call(inner))], inner), capfd)
    assert error.message.startswith("inner")
    assert error.file == "mine.py"


def test_all_of_the_stack_can_be_used():
    assert compile_unit(unit(big(512))).code


def test_inlined_functions_share_the_stack():
    """What one needs is free for the next."""
    functions = [function(f"part{n}", [], u32, big(300)) for n in range(3)]
    calls = [evaluate(call(part)) for part in functions]
    assert compile_unit(unit([*calls, ret(const(1))], *functions)).code


def test_more_than_five_arguments_of_a_helper(capfd):
    six = [const(n, u64) for n in range(6)]
    error = refuse(unit([evaluate(helper("much", 6, i64, *six)), ret(const(0))]), capfd)
    assert error.message == "much is called with 6 arguments: BPF passes 5"


def test_more_than_five_parameters_of_a_subprogram(capfd):
    params = [ir.Variable(f"p{n}", u32) for n in range(6)]
    six = function("six", params, u32, [ret(var(params[5]))], subprogram=True, loc=PLACE)
    error = refuse(unit([ret(call(six, *(const(n) for n in range(6))))], six), capfd)
    assert (error.message, error.line) == ("subprogram six has 6 parameters: BPF passes 5", 5)


def test_subprogram_that_returns_a_tuple(capfd):
    kind = ir.TupleType((u32, u32))
    pair = function("pair", [], kind, [ret(const(1), const(2))], subprogram=True, loc=PLACE)
    a, b = ir.Variable("a", u32), ir.Variable("b", u32)
    unpack = ir.Unpack(loc=HERE, variables=[a, b], call=call(pair))
    error = refuse(unit([unpack, ret(binary("add", var(a), var(b)))], pair), capfd)
    assert "pair returns a tuple" in error.message


def test_product_of_128_bits_is_found_at_its_line(capfd):
    """LLVM makes `a * b // b != a` a test for overflow, for which it multiplies 128 bits."""
    pointer = ir.Variable("pointer", reference(ArrayType(u64, 2), nullable=True))
    a, b = (load_(element(live(pointer), const(n))) for n in range(2))
    product = ir.Binary(loc=PLACE, type=u64, op="mul", left=a, right=b)
    back = ir.Binary(loc=PLACE, type=u64, op="div", left=product, right=b)
    test = ir.Compare(loc=PLACE, type=compare("eq", a, a).type, op="ne", left=back, right=a)
    body = [
        assign(pointer, read(XDP, pointer.type.to, const(0))),
        if_(is_none(var(pointer)), [ret(const(0))]),
        if_(compare("eq", b, const(0, u64)), [ret(const(0))]),
        ret(convert(test, u32)),
    ]
    program = unit(body)
    program.functions[0].loc = ir.Loc("mine.py", 4, 1)
    error = refuse(program, capfd)
    assert "128 bits" in error.message
    assert (error.file, error.line, error.column) == ("mine.py", 5, 9)
    assert error.source.strip() == "x = a * b // b"


@pytest.mark.parametrize("operation", ["sdiv i64", "srem i32", "udiv i128", "mul nuw i65"])
def test_every_library_call_is_found(operation, capfd):
    """Also those that no source is known to make."""
    kind = operation.split()[-1]
    assembly = emit(unit([ret(const(0))]))
    body = f"define {kind} @f({kind} %a, {kind} %b) {{\n  %r = {operation} %a, %b\n  ret {kind} %r\n}}\n"
    with pytest.raises(CompileError):
        object_code(Assembly(assembly.unit, assembly.text + body, {}, set()))
    assert capfd.readouterr().err == ""
