"""The parts of an ELF object that a BPF program is in: sections, symbols, relocations (elf.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Symbol:
    """A symbol: `section` is an index, 0 if it is not defined here; `value` is in bytes."""

    name: str
    section: int
    value: int


@dataclass(frozen=True)
class Patch:
    """A place in a section, in bytes, that waits for a symbol."""

    offset: int
    kind: int
    symbol: Symbol


@dataclass(frozen=True)
class Section:
    """A section: `link` is the index of a section that belongs to it."""

    name: str
    data: bytes
    link: int


class Object:
    """A 64-bit ELF object, in the byte order of its header."""

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data[5] == 1 else ">"
        (start,) = struct.unpack_from(self.order + "Q", data, 0x28)
        size, count, names = struct.unpack_from(self.order + "3H", data, 0x3A)
        headers = [struct.unpack_from(self.order + "2I4Q2I2Q", data, start + n * size) for n in range(count)]
        strings = data[headers[names][4] :]
        self.sections = [
            Section(_string(strings, name), data[offset : offset + length], link)
            for name, _, _, _, offset, length, link, _, _, _ in headers
        ]

    def section(self, name: str) -> bytes:
        """Return the contents of a section, empty if there is none."""
        return next((section.data for section in self.sections if section.name == name), b"")

    def section_name(self, symbol: Symbol) -> str:
        """Return the name of the section that a symbol is in, empty if it is not defined here."""
        return self.sections[symbol.section].name

    @cached_property
    def symbols(self) -> list[Symbol]:
        """All symbols, in order."""
        table = next(section for section in self.sections if section.name == ".symtab")
        names = self.sections[table.link].data
        entries = struct.iter_unpack(self.order + "I2BH2Q", table.data)
        return [Symbol(_string(names, name), section, value) for name, _, _, section, value, _ in entries]

    def patches(self, name: str) -> list[Patch]:
        """Return the relocations of section `name`."""
        entries: Iterator[tuple[int, int]] = struct.iter_unpack(
            self.order + "2Q", self.section(f".rel{name}")
        )
        symbols = self.symbols
        return [Patch(offset, info & 0xFFFFFFFF, symbols[info >> 32]) for offset, info in entries]


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(0, offset)].decode()
