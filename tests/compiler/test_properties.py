"""Properties of Structs."""

import pytest

import penstock
from penstock.errors import CompileError
from penstock.lang import Global, Program, Struct, Xdp, u8, u32, u64, xdp


class Octet(Struct):
    """Two numbers in one octet."""

    both: u8
    changes: u32

    @property
    def upper(self) -> u8:
        return self.both >> 4

    @upper.setter
    def upper(self, upper: u8) -> None:
        self.both = self.both & 0x0F | upper << 4
        self.changes += 1

    @property
    def lower(self) -> u8:
        return self.both & 0x0F

    @property
    def of_python(self) -> str:
        return f"{self.upper}.{self.lower}"


class Longer(Octet):
    name: u64


def result(program: Program) -> int:
    with penstock.load(program) as loaded:
        return loaded[program].test_run(bytes(64)).retval


def test_they_are_read_and_written():
    held = Global(Longer)

    @xdp
    def program(packet: Xdp) -> int:
        octet, length = Octet(both=0x25), u8(packet.length)
        octet.upper, held.value.both = length >> 4, 0x37
        octet.upper += 3
        held.value.upper = octet.upper + octet.lower
        return u32(octet.both) << 8 | u32(held.value.upper) << 4 | octet.changes

    assert result(program) == 0x75 << 8 | 0xC << 4 | 2


def test_python_has_them_too():
    octet = Octet(both=0x25)
    octet.upper = 7
    assert (octet.both, octet.upper, octet.lower, octet.changes, octet.of_python) == (0x75, 7, 5, 1, "7.5")


def test_what_cannot_be_written():
    @xdp
    def program(packet: Xdp) -> int:
        octet = Octet()
        octet.lower = u8(1)
        return octet.both

    with pytest.raises(CompileError, match=r"octet.lower cannot be written"):
        penstock.load(program)


def test_what_is_for_python_only():
    @xdp
    def program(packet: Xdp) -> int:
        octet = Octet()
        return octet.of_python

    with pytest.raises(CompileError, match="an f-string"):
        penstock.load(program)


def test_what_does_not_fit():
    @xdp
    def program(packet: Xdp) -> int:
        octet = Octet()
        octet.upper = packet.length
        return 0

    with pytest.raises(CompileError, match="upper of upper"):
        penstock.load(program)


def test_what_may_be_none():
    @xdp
    def program(packet: Xdp) -> int:
        octet = packet.read(Octet, 0)
        return octet.upper

    with pytest.raises(CompileError, match="octet may be None"):
        penstock.load(program)
