"""A few lines of bpf(2), so that tests of the compiler need nothing of `penstock.kernel`."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from penstock.compiler.spec import ProgramSpec, RelocationKind
from penstock.lang import RingBuf

SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, TEST_RUN, BTF_LOAD = 0, 1, 2, 5, 10, 18
PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, PSEUDO_KFUNC = 1, 2, 2

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(160, b"\0"), 160)
    result = _libc.syscall(SYSCALL, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    bpf.written = buffer.raw
    return result


def _address(buffer) -> int:
    return ctypes.addressof(buffer)


def load_btf(blob: bytes) -> int:
    data, log = ctypes.create_string_buffer(blob, len(blob)), ctypes.create_string_buffer(1 << 20)
    try:
        return bpf(BTF_LOAD, struct.pack("=QQIII", _address(data), _address(log), len(blob), len(log), 1))
    except OSError as error:
        raise AssertionError(f"BTF: {error}\n{log.value.decode()}") from None


class Running:
    """A loaded program with its maps; `run` gives (result, packet after it)."""

    def __init__(self, spec: ProgramSpec, btf_of_maps=None, kfuncs=None) -> None:
        self.spec = spec
        self.maps = {}
        for m, name in zip(spec.maps, spec.map_names, strict=True):
            self.maps[m] = self._create(m, name, (btf_of_maps or {}).get(m))
        self.btf = load_btf(spec.btf)
        self.fd = self._load(bytearray(spec.code), kfuncs or {})

    @staticmethod
    def _create(m, name, btf) -> int:
        key = m.key_type.size if m.key_type else 0
        value = m.value_type.size if m.value_type and not isinstance(m, RingBuf) else 0
        fd, key_id, value_id = btf or (0, 0, 0)
        attributes = struct.pack("=5III16sIIII", m.kind, key, value, m.entries, m.flags, 0, 0, name.encode(), 0, fd, key_id, value_id)
        return bpf(MAP_CREATE, attributes)

    def _load(self, code: bytearray, kfuncs) -> int:
        for r in self.spec.relocations:
            at = r.instruction * 8
            if r.kind is RelocationKind.KFUNC:
                source, value = PSEUDO_KFUNC, kfuncs[self.spec.kfuncs[r.target]]
            else:
                source = PSEUDO_MAP_FD if r.kind is RelocationKind.MAP else PSEUDO_MAP_VALUE
                value = self.maps[self.spec.maps[r.target]]
            code[at + 1] |= source << 4
            struct.pack_into("=i", code, at + 4, value)
        insns = ctypes.create_string_buffer(bytes(code), len(code))
        funcs = ctypes.create_string_buffer(self.spec.func_info, len(self.spec.func_info))
        lines = ctypes.create_string_buffer(self.spec.line_info, len(self.spec.line_info))
        license = ctypes.create_string_buffer(self.spec.license.encode())
        self.log = ctypes.create_string_buffer(1 << 24)
        attributes = struct.pack(
            "=IIQQIIQII16sIIIIQIIQI", self.spec.kind, len(code) // 8, _address(insns), _address(license), 1 | 4, len(self.log),
            _address(self.log), 0, 0, self.spec.name.encode()[:15], 0, 0, self.btf, 8, _address(funcs),
            len(funcs) // 8, 16, _address(lines), len(lines) // 16,
        )
        self.log_level = 1
        try:
            return bpf(PROG_LOAD, attributes)
        except OSError as error:
            raise AssertionError(f"{error}\n{self.log.value.decode()[-6000:]}") from None

    def run(self, packet: bytes = bytes(64), repeat: int = 1) -> tuple[int, bytes]:
        source, out = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(len(packet) + 512)
        attributes = struct.pack("=IIIIQQII", self.fd, 0, len(packet), len(out), _address(source), _address(out), repeat, 0)
        bpf(TEST_RUN, attributes)
        _, result, _, size = struct.unpack_from("=4I", bpf.written)
        return result, out.raw[:size]

    def value(self, m, key: bytes = bytes(4)) -> bytes:
        k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(m.value_type.size)
        bpf(MAP_LOOKUP, struct.pack("=IIQQQ", self.maps[m], 0, _address(k), _address(v), 0))
        return v.raw

    def update(self, m, key: bytes, value: bytes) -> None:
        k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
        bpf(MAP_UPDATE, struct.pack("=IIQQQ", self.maps[m], 0, _address(k), _address(v), 0))

    def close(self) -> None:
        for fd in (self.fd, self.btf, *self.maps.values()):
            os.close(fd)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
