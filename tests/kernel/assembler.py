"""BPF instructions by hand, and the specs of programs made of them."""

from __future__ import annotations

import struct

from penstock.compiler.spec import ProgramSpec, Relocation, RelocationKind, SourceLine
from penstock.lang.maps import MapSpec
from penstock.lang.program import ProgramKind

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
B, H, W, DW = 0x10, 0x08, 0x00, 0x18
JEQ, JGT, JNE = 0x10, 0x20, 0x50


def instruction(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, dst | src << 4, offset, immediate)


def mov(dst: int, value: int) -> bytes:
    return instruction(0xB7, dst, immediate=value)


def mov_reg(dst: int, src: int) -> bytes:
    return instruction(0xBF, dst, src)


def add(dst: int, value: int) -> bytes:
    return instruction(0x07, dst, immediate=value)


def modulo(dst: int, value: int) -> bytes:
    return instruction(0x97, dst, immediate=value)


def read(size: int, dst: int, src: int, offset: int) -> bytes:
    return instruction(0x61 | size, dst, src, offset)


def store(size: int, dst: int, offset: int, src: int) -> bytes:
    return instruction(0x63 | size, dst, src, offset)


def store_imm(size: int, dst: int, offset: int, value: int) -> bytes:
    return instruction(0x62 | size, dst, 0, offset, value)


def atomic_add(size: int, dst: int, offset: int, src: int) -> bytes:
    return instruction(0xC3 | size, dst, src, offset)


def jump(offset: int) -> bytes:
    return instruction(0x05, offset=offset)


def jump_if(how: int, dst: int, value: int, offset: int) -> bytes:
    return instruction(0x05 | how, dst, offset=offset, immediate=value)


def call(helper: int) -> bytes:
    return instruction(0x85, immediate=helper)


def exit_() -> bytes:
    return instruction(0x95)


class MapAddress:
    """`ld_imm64 dst, map`, or the map's value."""

    def __init__(self, dst: int, spec: MapSpec, *, value: bool = False) -> None:
        self.dst, self.spec, self.value = dst, spec, value


def program(
    *parts: bytes | MapAddress,
    name: str = "example",
    kind: ProgramKind = ProgramKind.XDP,
    lines: tuple[SourceLine, ...] = (),
    kfuncs: tuple[str, ...] = (),
    kfunc_calls: tuple[int, ...] = (),
    btf: bytes = b"",
    helpers: tuple[tuple[str, tuple[int, int]], ...] = (),
    license: str = "Dual MIT/GPL",  # noqa: A002 (the field's name)
) -> ProgramSpec:
    """Put a program together; `kfunc_calls` are the instructions that call each of `kfuncs`."""
    code, maps, relocations = b"", [], []
    for part in parts:
        if isinstance(part, MapAddress):
            if part.spec not in maps:
                maps.append(part.spec)
            kind_ = RelocationKind.MAP_VALUE if part.value else RelocationKind.MAP
            relocations.append(Relocation(len(code) // 8, kind_, maps.index(part.spec)))
            code += instruction(0x18, part.dst) + instruction(0)
        else:
            code += part
    relocations += [Relocation(where, RelocationKind.KFUNC, n) for n, where in enumerate(kfunc_calls)]
    return ProgramSpec(
        name=name,
        kind=kind,
        code=code,
        maps=tuple(maps),
        map_names=tuple(spec.name or f"map{number}" for number, spec in enumerate(maps)),
        kfuncs=kfuncs,
        relocations=tuple(relocations),
        btf=btf,
        func_info=b"",
        line_info=b"",
        lines=lines,
        helpers=helpers,
        license=license,
    )


def returning(value: int, kind: ProgramKind = ProgramKind.XDP, name: str = "example") -> ProgramSpec:
    return program(mov(R0, value), exit_(), kind=kind, name=name)
