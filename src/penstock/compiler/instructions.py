"""BPF instructions as bytes: operands to complete, and how much stack they use (RFC 9669)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

INSTRUCTION = 8
"""Bytes of an instruction; ld_imm64 takes two."""

FRAME = 10
"""The register that holds the upper end of the stack."""

LD, LDX, ST, STX = range(4)
"""Instruction classes that access memory; the other four compute and jump."""

ADD_64, MOVE_64, CALL = 0x07, 0xBF, 0x85
"""Opcodes: add an immediate, copy a register, call."""


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction."""

    opcode: int
    target: int
    source: int
    offset: int
    immediate: int


@dataclass
class Code:
    """Instructions that are being completed, in the byte order `order`."""

    data: bytearray
    order: str

    def __iter__(self) -> Iterator[Instruction]:
        """Iterate over all 8-byte units; the second half of an ld_imm64 has opcode 0."""
        for opcode, registers, offset, immediate in struct.iter_unpack(self.order + "2Bhi", self.data):
            low, high = registers & 15, registers >> 4
            target, source = (low, high) if self.order == "<" else (high, low)
            yield Instruction(opcode, target, source, offset, immediate)

    def immediate(self, instruction: int) -> int:
        """Return the 32-bit operand of one instruction."""
        return struct.unpack_from(self.order + "i", self.data, instruction * INSTRUCTION + 4)[0]

    def complete(self, instruction: int, source: int, immediate: int) -> None:
        """Set the source register and the operand of one instruction."""
        at = instruction * INSTRUCTION
        registers = self.data[at + 1]
        self.data[at + 1] = registers & 0x0F | source << 4 if self.order == "<" else registers & 0xF0 | source
        struct.pack_into(self.order + "i", self.data, at + 4, immediate)


def called_helpers(code: Code) -> list[int]:
    """Return the numbers of the helpers called, by first use."""
    calls = (i.immediate for i in code if i.opcode == CALL and i.source == 0 and i.immediate > 0)
    return list(dict.fromkeys(calls))


def stack_use(code: Code, starts: list[int]) -> list[int]:
    """Return the bytes of stack that each function uses; `starts` are their first instructions, ascending.

    LLVM reaches the stack from the frame register, or takes an address by adding to a copy of it.
    """
    uses = [0] * len(starts)
    function, before = -1, Instruction(0, 0, 0, 0, 0)
    for n, instruction in enumerate(code):
        if function + 1 < len(starts) and n == starts[function + 1]:
            function += 1
        uses[function] = max(uses[function], -_frame_offset(before, instruction))
        before = instruction
    return uses


def _frame_offset(before: Instruction, instruction: Instruction) -> int:
    """Return the offset from the frame register that an instruction reaches, 0 if it does not use it."""
    kind = instruction.opcode & 7
    base = instruction.source if kind == LDX else instruction.target if kind in (ST, STX) else None
    if base == FRAME:
        return instruction.offset
    copied = before.opcode == MOVE_64 and before.source == FRAME and before.target == instruction.target
    return instruction.immediate if copied and instruction.opcode == ADD_64 else 0
