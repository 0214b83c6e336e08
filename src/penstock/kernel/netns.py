"""The network namespace that something was attached in, to come back to from any thread."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING, Any, Final

from pyroute2 import IPRoute

if TYPE_CHECKING:
    from collections.abc import Generator

_CLONE_NEWNET: Final = 0x40000000
_HERE: Final = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """The network namespace of the thread that makes it, held by a descriptor until `close`."""

    def __init__(self) -> None:
        self._descriptor = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    @contextlib.contextmanager
    def netlink(self) -> Generator[Any]:
        """Talk rtnetlink in that namespace: an `IPRoute` of the calling thread."""
        with self._entered(), IPRoute() as netlink:
            yield netlink

    @contextlib.contextmanager
    def _entered(self) -> Generator[None]:
        """Enter it; without CAP_SYS_ADMIN that works only where there is nothing to do."""
        if os.path.sameopenfile(self._descriptor, home := os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)):
            os.close(home)
            yield
            return
        try:
            _enter(self._descriptor)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
