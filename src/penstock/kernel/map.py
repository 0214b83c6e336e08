"""Maps in the kernel: what all kinds share, and how one is created."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from penstock.compiler.btf import encode
from penstock.errors import KernelError
from penstock.kernel import memlock
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import MapCreate, MapElement, MapInfo
from penstock.kernel.btf import load_btf
from penstock.kernel.capabilities import Capability
from penstock.kernel.handle import Handle, object_info, object_name
from penstock.kernel.pins import open_pin
from penstock.kernel.syscall import Command, bpf
from penstock.lang.maps import holds_opaque
from penstock.lang.struct import StructType
from penstock.lang.types import SpinLock, resolve

if TYPE_CHECKING:
    from penstock.lang.maps import MapSpec
    from penstock.lang.types import Type

F_LOCK: Final = 4
"""BPF_F_LOCK: hold the value's spin lock while it is copied. Linux 5.1."""

_SPIN_LOCK: Final = resolve(SpinLock)


class Map(Handle):
    """A map, by its descriptor."""

    def __init__(self, spec: MapSpec, descriptor: int, name: str = "") -> None:
        self.spec = spec
        self.name = name or spec.name
        super().__init__(descriptor, describe(spec, name))
        self._flags = F_LOCK if spec.value_type is not None and _holds_lock(spec.value_type) else 0

    @property
    def id(self) -> int:
        """The kernel's number for it, as `bpftool map` shows it."""
        return object_info(self.fileno(), MapInfo).id

    def _lookup(self, key: bytes, size: int) -> bytearray | None:
        """Return the `size` bytes of the value of `key`, or None."""
        value = bytearray(size)
        found = self._try("read", Command.MAP_LOOKUP_ELEM, key, value, self._flags)
        return value if found else None

    def _update(self, key: bytes, value: bytes) -> None:
        """Store a value, new or not. KernelError if there is no room, or the kernel refuses it."""
        action = f"store an entry of {self._description}"
        try:
            self._element(Command.MAP_UPDATE_ELEM, key, bytearray(value), self._flags)
        except OSError as error:
            if error.errno in (errno.E2BIG, errno.ENOSPC):
                raise KernelError(f"cannot {action}: all {self.spec.entries} are taken") from error
            with attempt(action):
                raise

    def _delete(self, key: bytes) -> bool:
        """Remove an entry; False if there was none."""
        return self._try("remove", Command.MAP_DELETE_ELEM, key, None)

    def _next_key(self, key: bytes | None, size: int) -> bytes | None:
        """Return the key after `key` (None: the first), or None; the first again if `key` has gone."""
        following = bytearray(size)
        found = self._try("read", Command.MAP_GET_NEXT_KEY, key, following)
        return bytes(following) if found else None

    def _try(
        self, verb: str, command: Command, key: bytes | None, value: bytearray | None, flags: int = 0
    ) -> bool:
        """Make a call for one entry; False if there is no such entry."""
        with attempt(f"{verb} an entry of {self._description}"):
            try:
                self._element(command, key, value, flags)
            except FileNotFoundError:
                return False
        return True

    def _element(self, command: Command, key: bytes | None, value: bytearray | None, flags: int) -> None:
        held = ctypes.create_string_buffer(key, len(key)) if key is not None else None
        room = (ctypes.c_char * len(value)).from_buffer(value) if value is not None else None
        bpf(
            command,
            MapElement(
                map_fd=self.fileno(),
                key=ctypes.addressof(held) if held is not None else 0,
                value=ctypes.addressof(room) if room is not None else 0,
                flags=flags,
            ),
        )


def create_map(spec: MapSpec, name: str = "") -> int:
    """Create a map and return its descriptor. KernelError if the kernel refuses or lacks this kind."""
    memlock.lift()
    shape = MapCreate(
        map_type=spec.kind,
        key_size=spec.key_type.size if spec.key_type else 0,
        value_size=spec.value_type.size if spec.value_type else 0,
        max_entries=spec.entries,
        map_flags=spec.flags,
        map_name=object_name(name or spec.name),
    )
    with contextlib.ExitStack() as borrowed:
        if spec.inner is not None:
            template = Handle(create_map(spec.inner), describe(spec.inner, ""))
            shape.inner_map_fd = borrowed.enter_context(template).fileno()
        if spec.value_type is not None and holds_opaque(spec.value_type):
            assert spec.key_type is not None  # what has values has keys
            blob, ids = encode([spec.key_type, spec.value_type])
            shape.btf_fd = borrowed.enter_context(load_btf(blob)).fileno()
            shape.btf_key_type_id, shape.btf_value_type_id = ids
        with attempt(f"create {describe(spec, name)}", Capability.BPF, Capability.NET_ADMIN):
            return bpf(Command.MAP_CREATE, shape)


def open_pinned_map(spec: MapSpec, path: str | os.PathLike[str]) -> int:
    """Return a descriptor of the map pinned at `path`. KernelError if there is none, or of another shape."""
    descriptor = open_pin(path)
    info = object_info(descriptor, MapInfo)
    sizes = [kind.size if kind else 0 for kind in (spec.key_type, spec.value_type)]
    if (info.type, info.key_size, info.value_size, info.max_entries) != (spec.kind, *sizes, spec.entries):
        os.close(descriptor)
        raise KernelError(
            f"cannot use the pin {os.fspath(path)} as {describe(spec, '')}: it has another shape"
        )
    return descriptor


def describe(spec: MapSpec, name: str) -> str:
    """Return what a message calls the map."""
    return f"map {name or spec.name or 'without name'} ({type(spec).__name__}, {spec.entries})"


def _holds_lock(kind: Type) -> bool:
    return isinstance(kind, StructType) and any(field.type == _SPIN_LOCK for field in kind.fields.values())
