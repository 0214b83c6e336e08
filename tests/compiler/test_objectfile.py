"""From an ELF object to a ProgramSpec."""

import struct
import sys
from pathlib import Path

import pytest

from penstock.compiler import ir
from penstock.compiler.build import compile_unit
from penstock.compiler.frontend import lower
from penstock.compiler.instructions import CALL, Code, called_helpers, stack_use
from penstock.compiler.spec import RelocationKind, SourceLine
from penstock.errors import VerifierError
from penstock.kernel import load
from penstock.lang import Array, Global, HashMap, Struct, Xdp, array, helpers, subprogram, u32, u64, xdp
from tests.compiler.make import XDP

LD_IMM64, PSEUDO_CALL, PSEUDO_FUNC = 0x18, 1, 4
TABLE = HashMap(u32, u64, 16, name="table")
COUNT = Global(u64, name="count")


class State(Struct):
    total: u64


@subprogram
def twice(x: u32) -> u32:
    return x * 2


def visit(index: u64, state: State) -> int:
    state.total += index + u64(twice(u32(index)))
    return 0


@xdp
def program(packet: Xdp) -> int:
    """Uses everything that has to be linked."""
    COUNT.value += 1
    key = State(total=u64(packet.ifindex))
    TABLE.lookup(u32(key.total))
    state = State()
    helpers.loop(4, visit, state)
    return u32(state.total) + twice(3)


@pytest.fixture(scope="module")
def spec():
    return compile_unit(lower(program))


def instructions(spec):
    return list(Code(bytearray(spec.code), "<" if sys.byteorder == "little" else ">"))


def test_relocations_name_the_maps(spec):
    kinds = {(r.kind, spec.map_names[r.target]) for r in spec.relocations}
    assert kinds == {(RelocationKind.MAP, "table"), (RelocationKind.MAP_VALUE, "count")}
    for relocation in spec.relocations:
        found = instructions(spec)[relocation.instruction]
        assert (found.opcode, found.source, found.immediate) == (LD_IMM64, 0, 0)


def test_calls_and_callbacks_are_linked(spec):
    """To where a function starts, counted from the instruction after."""
    starts = {at for at, _ in struct.iter_unpack("=2I", spec.func_info)}
    code = instructions(spec)
    calls = [n + 1 + i.immediate for n, i in enumerate(code) if i.opcode == CALL and i.source == PSEUDO_CALL]
    callbacks = [
        n + 1 + i.immediate for n, i in enumerate(code) if i.opcode == LD_IMM64 and i.source == PSEUDO_FUNC
    ]
    assert len(calls) == 2
    assert len(callbacks) == 1
    assert set(calls + callbacks) == starts - {0}


def test_everything_is_accepted_and_right(spec):
    """State 0+1+2+3 and twice that, and 6."""
    with load(spec) as loaded:
        assert loaded[spec].test_run(bytes(64)).retval == 6 + 12 + 6
        assert loaded[COUNT].value == 1


def test_function_table_has_each_function_once(spec):
    at = [start for start, _ in struct.iter_unpack("=2I", spec.func_info)]
    assert at == sorted(set(at))
    assert len(at) == 3
    assert at[0] == 0


def test_line_table_leads_to_the_source(spec):
    lines = spec.lines
    assert all(line.file == __file__ for line in lines)
    assert [line.instruction for line in lines] == sorted({line.instruction for line in lines})
    assert lines[0].instruction == 0
    source = Path(__file__).read_text().splitlines()
    text = {source[line.line - 1].strip() for line in lines}
    assert "COUNT.value += 1" in text
    assert "return x * 2" in text
    assert "state.total += index + u64(twice(u32(index)))" in text
    assert len(spec.line_info) == 16 * len(lines)


def test_source_lines_are_in_the_type_information(spec):
    assert b"helpers.loop(4, visit, state)" in spec.btf


def test_source_that_is_not_on_disk():
    place = ir.Loc("<input 3>", 2, 5)
    body = [ir.Return(loc=place, values=[ir.Const(loc=place, type=u32, value=7)])]
    unit = ir.Unit("main", lower(program).kind, [ir.Function("main", [XDP], u32, False, place, body)], [], [])
    spec = compile_unit(unit, source_of={"<input 3>": "@xdp\ndef main(p):  # größer\n"}.get)
    assert spec.lines == (SourceLine(0, "<input 3>", 2, 5),)
    assert "def main(p):  # größer".encode() in spec.btf


def test_verifier_names_the_line():
    class Row(Struct):
        cells: Array[u32] = array(4)

    rows = Global(Row, name="rows")

    @xdp
    def beyond(packet: Xdp) -> int:
        index = packet.ifindex
        return rows.value.cells[index]  # here

    spec = compile_unit(lower(beyond))
    with pytest.raises(VerifierError) as caught:
        load(spec)
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "  # here" in text)
    assert f"{__file__}:{line}" in str(caught.value)


def test_specs_of_the_same_unit_are_the_same():
    first, second = (compile_unit(lower(program)) for _ in range(2))
    for name in ("name", "kind", "code", "relocations", "btf", "func_info", "line_info", "lines", "helpers"):
        assert getattr(first, name) == getattr(second, name)


def test_stack_use():
    """r1 = r10; r1 += -24 and *(u64 *)(r10 - 40) = r2 in one function, nothing in the next."""
    code = Code(bytearray(), "<")
    for opcode, registers, offset, immediate in [
        (0xBF, 0xA1, 0, 0),
        (0x07, 0x01, 0, -24),
        (0x7B, 0x2A, -40, 0),
        (0x95, 0, 0, 0),
        (0x79, 0x12, -80, 0),
        (0x95, 0, 0, 0),
    ]:
        code.data += struct.pack("<2Bhi", opcode, registers, offset, immediate)
    assert stack_use(code, [0, 4]) == [40, 0]


def test_called_helpers():
    code = Code(
        bytearray(struct.pack("<2Bhi", CALL, 0, 0, 5) * 2 + struct.pack("<2Bhi", CALL, 0x10, 0, 9)), "<"
    )
    assert called_helpers(code) == [5]


def test_big_endian_instructions():
    code = Code(bytearray(struct.pack(">2Bhi", LD_IMM64, 0x10, 0, 3)), ">")
    code.complete(0, PSEUDO_FUNC, 99)
    (instruction,) = code
    assert (instruction.target, instruction.source, instruction.immediate) == (1, PSEUDO_FUNC, 99)
