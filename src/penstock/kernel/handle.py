"""What the kernel keeps for us behind a file descriptor: maps, programs and links."""

from __future__ import annotations

import ctypes
import os
import re
import warnings
import weakref
from typing import TYPE_CHECKING, Self, TypeVar

from penstock.errors import KernelError
from penstock.kernel import pins
from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import NAME_LENGTH, GetInfo
from penstock.kernel.syscall import Command, bpf

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


Info = TypeVar("Info", bound=ctypes.Structure)


class Handle:
    """Owner of a descriptor; a context manager. The kernel frees the object when nothing else holds it.

    One that is forgotten instead of closed is closed with its last reference, with a ResourceWarning.
    """

    def __init__(self, descriptor: int, description: str) -> None:
        self._descriptor = descriptor
        self._description = description
        self._forgotten = weakref.finalize(self, _forget, descriptor, description)
        self._forgotten.atexit = False

    def __repr__(self) -> str:
        return f"<{self._description}{'' if self._forgotten.alive else ', closed'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor; KernelError once closed."""
        if not self._forgotten.alive:
            raise KernelError(f"{self._description} is closed")
        return self._descriptor

    def close(self) -> None:
        """Let go of it. Closing twice is allowed."""
        if self._forgotten.detach() is not None:
            os.close(self._descriptor)

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Give it a name in a BPF file system, by which it outlives this process until that file is removed.

        KernelError if there is no BPF file system at `path`, or something of that name.
        """
        pins.pin(self.fileno(), path, self._description)


def _forget(descriptor: int, description: str) -> None:
    os.close(descriptor)
    warnings.warn(f"{description} was never closed", ResourceWarning, stacklevel=2)


def object_info(descriptor: int, kind: Callable[[], Info]) -> Info:
    """Return what the kernel says of the object behind a descriptor (`MapInfo`, `ProgInfo`, `LinkInfo`)."""
    info = kind()
    with attempt("ask about a BPF object"):
        bpf(Command.OBJ_GET_INFO_BY_FD, GetInfo(descriptor, ctypes.sizeof(info), ctypes.addressof(info)))
    return info


def object_name(name: str) -> bytes:
    """Return the name as the kernel takes it: 15 letters, digits, dots and underscores."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", name).encode("ascii")[: NAME_LENGTH - 1]
