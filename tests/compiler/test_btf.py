"""BTF of map values, as the kernel reads it."""

import struct

import pytest

from penstock.compiler.btf import encode, identifier
from penstock.kernel.btf import load_btf
from penstock.lang import Array, SpinLock, Struct, Timer, array, be16, i8, i64, u8, u32, u64
from penstock.lang.types import BOOL, OpaqueType, resolve


class Inner(Struct):
    a: u8
    b: be16


class Value(Struct):
    lock: SpinLock
    timer: Timer
    flag: bool
    small: i8
    inner: Inner
    rows: Array[Inner] = array(2, 3)
    wide: i64


class Packed(Struct, packed=True):
    a: u8
    b: u64


def types(blob: bytes) -> list[tuple[int, str, int, bytes]]:
    """Return (kind, name, size, what follows) of each type."""
    magic, _, header, start, size, strings, length = struct.unpack_from("=HHIIIII", blob)
    assert (magic, header + strings + length) == (0xEB9F, len(blob))
    fixed, per_member = {1: 4, 3: 12, 4: 0}, {4: 12}
    found, at = [], header + start
    while at < header + start + size:
        name, info, value = struct.unpack_from("=3I", blob, at)
        length = fixed[info >> 24] + per_member.get(info >> 24, 0) * (info & 0xFFFF)
        text = blob[header + strings + name :].split(b"\0")[0].decode()
        found.append((info >> 24, text, value, blob[at + 12 : at + 12 + length]))
        at += 12 + length
    return found


def test_kernel_accepts_everything():
    blob, _ = encode([resolve(u32), Value.__layout__, Packed.__layout__, BOOL])
    load_btf(blob).close()


def test_members_and_offsets():
    blob, ids = encode([Value.__layout__])
    found = types(blob)
    kind, name, size, body = found[ids[0] - 1]
    assert (kind, name, size) == (4, "Value", Value.__layout__.size)
    offsets = [bits for _, _, bits in struct.iter_unpack("=3I", body)]
    assert offsets == [f.offset * 8 for f in Value.__layout__.fields.values()]
    members = [found[number - 1][1] for _, number, _ in struct.iter_unpack("=3I", body)]
    assert members == ["bpf_spin_lock", "bpf_timer", "bool", "i8", "Inner", "", "i64"]


def test_types_are_described_once():
    blob, ids = encode([Value.__layout__, Inner.__layout__, Value.__layout__])
    assert ids[0] == ids[2] != ids[1]
    names = [name for _, name, _, _ in types(blob) if name]
    assert len(names) == len(set(names))


def test_kernels_objects_have_their_sizes():
    sizes = {name: size for _, name, size, _ in types(encode([Value.__layout__])[0])}
    assert (sizes["bpf_spin_lock"], sizes["bpf_timer"]) == (4, 16)


def test_unknown_object():
    with pytest.raises(KeyError):
        encode([OpaqueType("bpf_unknown", 8, 8)])


def test_names_are_c_identifiers():
    assert identifier("Größe") == "Gr__e"
    assert len(identifier("x" * 300)) == 127
