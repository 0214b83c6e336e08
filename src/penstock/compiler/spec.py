"""The result of compilation: everything the kernel must be told to load a program, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from penstock.lang.maps import MapSpec
from penstock.lang.program import ProgramKind


class RelocationKind(IntEnum):
    """What an instruction still lacks."""

    MAP = 1
    """ld_imm64 of a map: src_reg BPF_PSEUDO_MAP_FD, imm its descriptor. `target`: index into `maps`."""
    MAP_VALUE = 2
    """ld_imm64 of the value of a one-element array: BPF_PSEUDO_MAP_VALUE. `target`: index into `maps`."""
    KFUNC = 3
    """call: BPF_PSEUDO_KFUNC_CALL, imm the BTF id. `target`: index into `kfuncs`."""


@dataclass(frozen=True)
class Relocation:
    """One instruction to complete; `instruction` counts 8-byte units."""

    instruction: int
    kind: RelocationKind
    target: int


@dataclass(frozen=True)
class SourceLine:
    """The source of the instructions from `instruction` (in 8-byte units) to the next such entry."""

    instruction: int
    file: str
    line: int
    column: int


@dataclass(frozen=True, eq=False)
class ProgramSpec:
    """A compiled program.

    `code` has 8 bytes an instruction, the entry function first, calls and callbacks resolved.

    `btf` is a BTF blob; `func_info` and `line_info` are arrays of `struct bpf_func_info` (8 bytes) and
    `struct bpf_line_info` (16 bytes) that refer to it; `lines` is the same line table for people.
    `helpers` names each helper used with the kernel that brought it.
    """

    name: str
    kind: ProgramKind
    code: bytes
    maps: tuple[MapSpec, ...]
    map_names: tuple[str, ...]
    kfuncs: tuple[str, ...]
    relocations: tuple[Relocation, ...]
    btf: bytes
    func_info: bytes
    line_info: bytes
    lines: tuple[SourceLine, ...]
    helpers: tuple[tuple[str, tuple[int, int]], ...]
    license: str = "Dual MIT/GPL"
