"""Subprograms that the verifier looks at once."""

import runpy
from pathlib import Path

import pytest

import penstock
from penstock.compiler.frontend import lower
from penstock.errors import CompileError
from penstock.lang import Global, Xdp, global_subprogram, i16, subprogram, u8, u16, u32, u64, xdp

calls = Global(u64, name="calls")


def branches(value: u64) -> u64:
    """Data decide which of two ways each round goes: the verifier has 2^24 of them to walk."""
    state = value
    for n in range(24):
        state = state * 6364136223846793005 + u64(n) if state >> 1 & 1 else state ^ state >> 7
        calls.value += state & 1
    return state


@global_subprogram
def once(value: u64) -> u64:
    return branches(value)


@subprogram
def each_time(value: u64) -> u64:
    return branches(value)


@global_subprogram
def narrow(a: u8, b: u16, c: u32, d: i16, *, flag: bool) -> i16:
    return d - i16(u8(a + u8(b))) if flag else i16(c)


@global_subprogram
def first(number: u32, ignored: u64) -> u32:
    return number


@xdp
def program(packet: Xdp) -> int:
    seed = u64(packet.ifindex)
    total = once(seed) + once(once(seed + 1)) + once(seed + 2)
    if first(3, seed) != 3:
        return 2
    if narrow(255, 2, 7, -5, flag=total >= 0) != -6 or narrow(0, 0, 0x1FFFF, 0, flag=False) != -1:
        return 1
    return u32(once(seed) != branches(seed))


def test_it_does_what_the_inlined_function_does():
    """An argument that is not used is passed all the same: the verifier asks for it."""
    with penstock.load(program) as loaded:
        assert loaded[program].test_run(bytes(64)).retval == 0


def test_it_is_loaded_with_its_type(caplog):
    """The kernel takes no type information in which the parameters of a global function have no names."""
    with penstock.load(program):
        assert not caplog.records


@pytest.mark.parametrize(
    ("parameter", "result", "message"),
    [
        ("packet: Xdp", "u32", "takes numbers only"),
        ("number: u32", "None", "returns a number"),
    ],
)
def test_what_it_cannot_take_or_return(parameter, result, message, tmp_path: Path):
    given = "packet" if "packet" in parameter else "1"
    source = f"""
from penstock.lang import Xdp, global_subprogram, u32, xdp

@global_subprogram
def apart({parameter}) -> {result}:
    {"pass" if result == "None" else "return 1"}

@xdp
def program(packet: Xdp) -> int:
    apart({given})
    return 1
"""
    path = tmp_path / "apart.py"
    path.write_text(source)
    names = runpy.run_path(str(path))
    with pytest.raises(CompileError, match=message) as caught:
        lower(names["program"])
    assert caught.value.line == 5
