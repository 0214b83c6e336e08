"""BTF for map keys and values: the kernel must know where in them spin locks and timers lie.

Layout: https://docs.kernel.org/bpf/btf.html. What programs need is made by LLVM; this describes types of the
language, for maps only.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import singledispatchmethod

from penstock.lang.struct import StructType
from penstock.lang.types import ArrayType, BoolType, IntType, OpaqueType, Type

MAGIC, VERSION = 0xEB9F, 1
HEADER = struct.Struct("=HBBIIIII")

# BTF_KIND_ and BTF_INT_ values.
INT, ARRAY, STRUCT = 1, 3, 4
SIGNED, BOOL = 1, 4

# What the kernel's opaque objects are made of: a name and bits for each member (include/uapi/linux/bpf.h).
OPAQUE = {"bpf_spin_lock": (("val", 32),), "bpf_timer": (("__opaque", 64), ("__opaque2", 64))}


def identifier(name: str) -> str:
    """Return a name that the kernel accepts in BTF: a C identifier of at most 127 characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)[:127]


def encode(types: Sequence[Type]) -> tuple[bytes, list[int]]:
    """Return a BTF blob that describes `types`, and the id of each in it."""
    encoder = _Encoder()
    ids = [encoder.identify(kind) for kind in types]
    return encoder.blob(), ids


class _Encoder:
    def __init__(self) -> None:
        self._strings = b"\0"
        self._types: list[bytes] = []
        self._known: dict[Type, int] = {}

    def blob(self) -> bytes:
        types = b"".join(self._types)
        sections = 0, len(types), len(types), len(self._strings)
        return HEADER.pack(MAGIC, VERSION, 0, HEADER.size, *sections) + types + self._strings

    def identify(self, kind: Type) -> int:
        """Return the id of a type, described once."""
        if kind not in self._known:
            self._known[kind] = self._describe(kind)
        return self._known[kind]

    @singledispatchmethod
    def _describe(self, kind: Type) -> int:
        raise TypeError(f"{kind!r} has no BTF")

    @_describe.register
    def _(self, kind: IntType) -> int:
        return self._integer(kind.name, kind.bits, SIGNED if kind.signed else 0)

    @_describe.register
    def _(self, kind: BoolType) -> int:
        return self._integer(kind.name, 8, BOOL)

    @_describe.register
    def _(self, kind: ArrayType) -> int:
        """An array, with the type that counts it."""
        element, index = self.identify(kind.element), self.identify(IntType("u32", 32))
        return self._add(ARRAY, "", 0, 0, struct.pack("=3I", element, index, kind.length))

    @_describe.register
    def _(self, kind: StructType) -> int:
        members = [(f.name, self.identify(f.type), f.offset * 8) for f in kind.fields.values()]
        return self._struct(kind.name, kind.size, members)

    @_describe.register
    def _(self, kind: OpaqueType) -> int:
        members: list[tuple[str, int, int]] = []
        bit = 0
        for name, bits in OPAQUE[kind.name]:
            members.append((name, self.identify(IntType(f"u{bits}", bits)), bit))
            bit += bits
        return self._struct(kind.name, kind.size, members)

    def _integer(self, name: str, bits: int, encoding: int) -> int:
        return self._add(INT, name, 0, bits // 8, struct.pack("=I", encoding << 24 | bits))

    def _struct(self, name: str, size: int, members: list[tuple[str, int, int]]) -> int:
        body = b"".join(struct.pack("=3I", self._string(m), kind, bit) for m, kind, bit in members)
        return self._add(STRUCT, name, len(members), size, body)

    def _add(self, kind: int, name: str, count: int, size: int, body: bytes) -> int:
        self._types.append(struct.pack("=3I", self._string(name), kind << 24 | count, size) + body)
        return len(self._types)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        offset = len(self._strings)
        self._strings += identifier(text).encode() + b"\0"
        return offset
