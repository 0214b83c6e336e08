"""What the verifier objects to, in words and at the right line: on this kernel, and in logs of others."""

from pathlib import Path

import pytest

from penstock.compiler.spec import SourceLine
from penstock.errors import VerifierError
from penstock.kernel import load, verifier
from penstock.kernel.reasons import reason
from penstock.kernel.verifier import explain
from penstock.lang import HashMap, RingBuf, Struct, u32, u64
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import (
    DW,
    JNE,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R10,
    MapAddress,
    W,
    add,
    call,
    exit_,
    instruction,
    jump_if,
    mov,
    mov_reg,
    program,
    read,
    returning,
    store_imm,
)


class Pair(Struct):
    first: u64
    second: u64


FLOWS = HashMap(u32, Pair, 10, name="flows")
EVENTS = RingBuf(Pair, 4096, name="events")
LOOKUP = (store_imm(W, R10, -4, 0), MapAddress(R1, FLOWS), mov_reg(R2, R10), add(R2, -4), call(1))
FOUND = (*LOOKUP, jump_if(JNE, R0, 0, 2), mov(R0, 0), exit_())  # 9 instructions
RESERVE = (MapAddress(R1, EVENTS), mov(R2, 16), mov(R3, 0), call(131))
RETURN = (mov(R0, 0), exit_())

REFUSED = {
    "maybe None": ((*LOOKUP, read(DW, R0, R0, 0), exit_()), 6, "this may be None: test it first"),
    "field of maybe None": (
        (*LOOKUP, add(R0, 8), read(DW, R0, R0, 0), exit_()),
        6,
        "this may be None: test it first",
    ),
    "maybe None to a helper": (
        (*LOOKUP, mov_reg(R2, R0), MapAddress(R1, FLOWS), call(1), *RETURN),
        9,
        "this may be None: test it first",
    ),
    "behind a map value": (
        (*FOUND, read(DW, R0, R0, 16), exit_()),
        9,
        "outside the map value: 8 bytes at offset 16 of 16",
    ),
    "index without limit": (
        (*FOUND, read(W, R1, R0, 0), instruction(0x0F, R0, R1), read(DW, R0, R0, 0), exit_()),
        11,
        "this index or length has no upper limit: limit it first (`& mask`, or `if i < n`)",
    ),
    "index of any sign": (
        (*FOUND, read(DW, R1, R0, 0), instruction(0x0F, R0, R1), read(DW, R0, R0, 0), exit_()),
        10,
        "this index or offset may be negative or of any size: limit it first (`& mask`, or `if i < n`)",
    ),
    "packet not checked": (
        (read(W, R2, R1, 0), read(DW, R0, R2, 14), exit_()),
        1,
        "outside the packet: 8 bytes at offset 14, of 0 that were checked",
    ),
    "behind a record": (
        (*RESERVE, jump_if(JNE, R0, 0, 1), exit_(), store_imm(DW, R0, 16, 0), *RETURN),
        7,
        "outside the record: 8 bytes at offset 16 of 16",
    ),
    "record kept": (
        (*RESERVE, *RETURN),
        4,
        "what is reserved here is neither submitted nor discarded on every path",
    ),
    "record submitted twice": (
        (
            *RESERVE,
            jump_if(JNE, R0, 0, 1),
            exit_(),
            mov_reg(R6, R0),
            mov_reg(R1, R0),
            mov(R2, 0),
            call(132),
            mov_reg(R1, R6),
            mov(R2, 0),
            call(132),
            *RETURN,
        ),
        13,
        "this was not reserved, or is submitted or discarded already",
    ),
    "endless loop": (
        (mov(R6, 0), call(7), instruction(0x0F, R6, R0), instruction(0xA5, R6, 0, -3, 10**9), *RETURN),
        2,
        "this loop may never end",
    ),
    "too many steps": (
        (call(7), mov_reg(R6, R0), add(R6, 1), call(7), instruction(0x2D, R0, R6, -3), *RETURN),
        4,
        "too complex: the verifier gave up after 1000001 steps; shorten loops, or use for_each",
    ),
    "not set": ((mov_reg(R0, R3), exit_()), 0, "a value that was not set on every path is used"),
    "below the stack": (
        (store_imm(DW, R10, -520, 0), *RETURN),
        0,
        "outside the stack: 8 bytes at offset -520",
    ),
    "stack of two functions": (
        (
            store_imm(DW, R10, -400, 0),
            instruction(0x85, 0, 1, 0, 1),
            exit_(),
            store_imm(DW, R10, -400, 0),
            *RETURN,
        ),
        None,
        "too much on the stack: 800 bytes in 2 functions that call each other, of 512",
    ),
    "calls too deep": (
        (*[instruction(0x85, 0, 1, 0, 1) + exit_() for _ in range(10)], *RETURN),
        14,
        "functions call each other 9 deep: 8 at most",
    ),
    "helper of another kind": (
        (mov(R1, 1), mov(R2, 0), call(13), exit_()),
        2,
        "a program of this kind cannot call helpers.clone_redirect",
    ),
    "no such helper": ((call(9999), exit_()), 0, "this kernel has no helper 9999"),
    "map of another kind": (
        (MapAddress(R1, FLOWS), mov(R2, 0), mov(R3, 0), call(51), exit_()),
        4,
        "helpers.redirect_map does not take this kind of map",
    ),
    "number as a reference": (
        (mov(R1, 8), read(DW, R0, R1, 0), exit_()),
        1,
        "a number is used as a reference",
    ),
    "number to a helper": (
        (MapAddress(R1, FLOWS), mov(R2, 4), call(1), *RETURN),
        3,
        "argument 2 of the helper is scalar, not fp",
    ),
    "reference as a number": (
        (mov_reg(R2, R1), instruction(0x4F, R2, R2), *RETURN),
        1,
        "a reference is used as a number",
    ),
    "length may be 0": (
        (
            store_imm(DW, R10, -8, 0),
            read(W, R4, R1, 12),
            mov_reg(R3, R10),
            add(R3, -8),
            mov(R2, 0),
            call(189),
            exit_(),
        ),
        5,
        "the length (argument 4) may be 0: exclude that first",
    ),
    "context": (
        (store_imm(W, R1, 0, 0), *RETURN),
        0,
        "this field of the context cannot be used so, or not by this kernel (offset 0, 4 bytes)",
    ),
    "lock without types": (
        (*FOUND, mov_reg(R1, R0), call(93), *RETURN),
        10,
        "the map's values hold no lock or timer that the kernel knows of",
    ),
    "not aligned": (
        (store_imm(DW, R10, -12, 0), *RETURN),
        0,
        "not aligned: 8 bytes of the stack at an offset that is no multiple of that",
    ),
    "never reached": ((*RETURN, *RETURN), 2, "the compiler made invalid code: a bug in penstock"),
}


@pytest.mark.parametrize(("parts", "instruction", "expected"), REFUSED.values(), ids=REFUSED)
def test_this_kernel_refuses(parts, instruction, expected):
    """Each instruction is on the line of its number in a file that does not exist."""
    lines = tuple(SourceLine(number, "program.py", 100 + number, 5) for number in range(40))
    with pytest.raises(VerifierError) as refused:
        load(program(*parts, lines=lines))
    error = refused.value
    assert error.reason.startswith(expected)
    assert (error.file, error.line) == (
        ("program example", 0) if instruction is None else ("program.py", 100 + instruction)
    )
    assert error.excerpt[-1] in error.log
    assert error.omitted + len(error.excerpt) <= len(error.log.splitlines())


def test_a_license_that_is_not_gpl_compatible():
    spec = program(mov(R1, 0), mov(R2, 0), call(6), exit_(), license="Proprietary")
    with pytest.raises(
        VerifierError, match="this helper is for programs under a GPL-compatible license only"
    ):
        load(spec)


def test_the_message(tmp_path: Path):
    source = tmp_path / "flows.py"
    source.write_text("import penstock\n\n    flow.first += 1  # more\n", encoding="ascii")
    lines = (SourceLine(0, str(source), 1, 1), SourceLine(6, str(source), 3, 5))
    with pytest.raises(VerifierError) as refused:
        load(program(*LOOKUP, read(DW, R0, R0, 0), exit_(), lines=lines))
    assert str(refused.value) == (
        f"{source}:3: this may be None: test it first\n"
        "    flow.first += 1  # more\n"
        "  the verifier said (6 lines omitted):\n"
        "    6: (79) r0 = *(u64 *)(r0 +0)\n"
        "    R0 invalid mem access 'map_value_or_null'"
    )


def test_a_helper_newer_than_the_kernel(monkeypatch):
    monkeypatch.setattr(verifier, "running_kernel", lambda: (5, 4))
    spec = program(exit_(), helpers=(("map_lookup_elem", (3, 19)), ("ringbuf_reserve", (5, 8))))
    error = explain(spec, "0: (85) call unknown#131\ninvalid func unknown#131\nprocessed 1 insns\n")
    assert error.reason == "this kernel has no ringbuf_reserve (Linux 5.8)"


def test_what_nobody_has_put_into_words_is_left_as_it_is():
    error = explain(returning(0), "0: (95) exit\nsomething entirely new\nand more of it\n")
    assert error.reason == "something entirely new"
    assert error.excerpt == ("0: (95) exit", "something entirely new", "and more of it")


# What kernels older or newer than this one say, from their verifier.c.
OTHERS = {
    "back-edge from insn 7 to 3": ("this is a loop, and this kernel takes none: Linux 5.3 does", 7),
    "The sequence of 8193 jumps is too complex.": (
        "too complex: 8193 branches are open at once; use a subprogram for part of it",
        None,
    ),
    "BPF program is too large. Processed 131073 insn": (
        "too complex: the verifier gave up after 131073 steps; shorten loops, or use for_each",
        None,
    ),
    "R1 invalid mem access 'inv'": ("a number is used as a reference", None),
    "R0 invalid mem access 'map_value_or_null'": ("this may be None: test it first", None),
    "R3 invalid mem access 'ringbuf_mem_or_null'": ("this may be None: test it first", None),
    "Possibly NULL pointer passed to helper arg2": ("this may be None: test it first", None),
    "invalid indirect read from stack off -8+0 size 8": (
        "never written: byte 0 of 8 on the stack at offset -8",
        None,
    ),
    "invalid indirect read from stack R2 off -8+4 size 8": (
        "never written: byte 4 of 8 on the stack at offset -8",
        None,
    ),
    "invalid read from stack off -16+0 size 8": (
        "never written: byte 0 of 8 on the stack at offset -16",
        None,
    ),
    "invalid read from stack R10 off -16+0 size 8": (
        "never written: byte 0 of 8 on the stack at offset -16",
        None,
    ),
    "invalid stack off=-520 size=8": ("outside the stack: 8 bytes at offset -520", None),
    "invalid stack type R2 off=-600 access_size=8": ("outside the stack: 8 bytes at offset -600", None),
    "invalid write to stack R10 off=8 size=8": ("outside the stack: 8 bytes at offset 8", None),
    "invalid access to packet, off=26 size=4, R3(id=0,off=26,r=14)": (
        "outside the packet: 4 bytes at offset 26, of 14 that were checked",
        None,
    ),
    "R1 min value is negative, either use unsigned index or do a if (index >=0) check.": (
        "this index or offset may be negative or of any size: limit it first (`& mask`, or `if i < n`)",
        None,
    ),
    "unknown func bpf_fib_lookup#69": ("a program of this kind cannot call helpers.fib_lookup", None),
    "function calls are not allowed while holding a lock": (
        "nothing may be called while a lock is held",
        None,
    ),
    "bpf_spin_unlock is missing": ("a lock is still held where the program returns", None),
    "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region": (
        "a lock is still held where the program returns",
        None,
    ),
    "R1 type=inv expected=alloc_mem": ("this was not reserved, or is submitted or discarded already", None),
    "R0 leaks addr as return value": (
        "an address is kept or compared as a number, which takes CAP_PERFMON",
        None,
    ),
    "R2 pointer comparison prohibited": (
        "an address is kept or compared as a number, which takes CAP_PERFMON",
        None,
    ),
    "At program exit the register R0 has value (0x5; 0x0) should have been in (0x0; 0x3)": (
        "this value cannot be returned from here",
        None,
    ),
    "misaligned packet access off 0+14+1 size 4": (
        "not aligned: 4 bytes of the packet at an offset that is no multiple of that",
        None,
    ),
}


@pytest.mark.parametrize(("message", "expected"), OTHERS.items(), ids=lambda value: str(value)[:40])
def test_other_kernels_say(message, expected):
    assert reason(message) == expected


def test_a_tc_program_is_explained_alike():
    spec = program(read(W, R0, R1, 1000), exit_(), kind=ProgramKind.SCHED_CLS)
    with pytest.raises(VerifierError, match="this field of the context cannot be used so"):
        load(spec)
