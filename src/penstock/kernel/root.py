"""The root of a chain: an XDP program that calls one that measures, then goes on to one that forwards.

A tail call never returns, except to the caller of the function that makes it: so the first is made in a
function (Linux 5.10 on x86, 6.0 on arm64). Its BTF must say that it returns a number.
"""

from __future__ import annotations

import struct
from typing import Final

from penstock.compiler import btf
from penstock.compiler.spec import ProgramSpec, Relocation, RelocationKind
from penstock.kernel.instruction import instruction
from penstock.lang import XDP_PASS
from penstock.lang.maps import ProgArray
from penstock.lang.program import ProgramKind

MEASURE: Final = ProgArray(1, name="pst_measure")
FORWARD: Final = ProgArray(1, name="pst_forward")

_MOV, _MOV_REGISTER, _LD_IMM64, _CALL, _EXIT = 0xB7, 0xBF, 0x18, 0x85, 0x95
_TAIL_CALL = 12

_TAIL: Final = (  # with the packet in r1: r2 = the array, r3 = 0
    instruction(_LD_IMM64, 2)
    + instruction(0)
    + instruction(_MOV, 3)
    + instruction(_CALL, immediate=_TAIL_CALL)
)
_MAIN: Final = (
    instruction(_MOV_REGISTER, 6, 1)
    + instruction(_CALL, src=1, immediate=7)  # measured
    + instruction(_MOV_REGISTER, 1, 6)
    + _TAIL
    + instruction(_MOV, immediate=XDP_PASS)
    + instruction(_EXIT)
)
_MEASURED: Final = _TAIL + instruction(_MOV) + instruction(_EXIT)
_START: Final = len(_MAIN) // 8

_STRINGS: Final = b"\0int\0root\0measured\0"
_FUNC, _FUNC_PROTO = 12, 13
_TYPES: Final = b"".join(
    struct.pack(f"={len(words)}I", *words)
    for words in (
        (_STRINGS.index(b"int"), btf.INT << 24, 4, btf.SIGNED << 24 | 32),
        (0, _FUNC_PROTO << 24, 1),
        (_STRINGS.index(b"root"), _FUNC << 24, 2),
        (_STRINGS.index(b"measured"), _FUNC << 24, 2),
    )
)
_SECTIONS: Final = 0, len(_TYPES), len(_TYPES), len(_STRINGS)

ROOT: Final = ProgramSpec(
    name="penstock_root",
    kind=ProgramKind.XDP,
    code=_MAIN + _MEASURED,
    maps=(MEASURE, FORWARD),
    map_names=(MEASURE.name, FORWARD.name),
    kfuncs=(),
    relocations=(
        Relocation(3, RelocationKind.MAP, 1),
        Relocation(_START, RelocationKind.MAP, 0),
    ),
    btf=btf.HEADER.pack(btf.MAGIC, btf.VERSION, 0, btf.HEADER.size, *_SECTIONS) + _TYPES + _STRINGS,
    func_info=struct.pack("=4I", 0, 3, _START, 4),
    line_info=b"",
    lines=(),
    helpers=(),
)
