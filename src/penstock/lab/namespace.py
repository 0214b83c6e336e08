"""A network namespace with a name, its own /sys and its own /sys/fs/bpf."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pyroute2 import netns as untyped_netns

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

T = TypeVar("T")

PREFIX: Final = "pst"

# include/uapi/linux/sched.h and mount.h
_CLONE_FS: Final = 0x00000200
_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWNET: Final = 0x40000000
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 0x80000

_netns: Final = cast("Any", untyped_netns)
_libc: Final = ctypes.CDLL(None, use_errno=True)


class LabError(PenstockError):
    """A host, a link or traffic that could not be made. The message says which, and why."""


class Namespace:
    """A network namespace, visible to `ip netns` under its name until `remove`.

    A thread enters it for a while with `enter`; a process started with `popen` lives in it, and also sees its
    devices in /sys and a BPF file system that the processes of this namespace share.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self._net, self._mounts = _in_thread(lambda: _create(name))
        except PermissionError as error:
            needs = "needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"
            message = f"cannot create network namespace {name}: {needs}"
            raise LabError(message) from error

    @property
    def descriptor(self) -> int:
        """File descriptor of the network namespace, for netlink."""
        return self._net

    @contextlib.contextmanager
    def enter(self) -> Generator[None]:
        """Have the calling thread, and what it starts, use this network, with the file systems it has."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(self._net, _CLONE_NEWNET), f"enter {self.name}")
            try:
                yield
            finally:
                _check(_libc.setns(home, _CLONE_NEWNET), f"leave {self.name}")
        finally:
            os.close(home)

    def popen(self, arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a process in the namespace; options are those of `subprocess.Popen`."""
        options.setdefault("cwd", Path.cwd())  # entering a mount namespace moves a thread to its root
        options.setdefault("process_group", 0)  # the terminal's Ctrl-C is for its parent, which ends it

        def start() -> subprocess.Popen[str]:
            _check(_libc.unshare(_CLONE_FS), f"prepare to enter {self.name}")
            _check(_libc.setns(self._mounts, _CLONE_NEWNS), f"enter the mounts of {self.name}")
            _check(_libc.setns(self._net, _CLONE_NEWNET), f"enter {self.name}")
            return subprocess.Popen(arguments, text=True, **options)

        return _in_thread(start)

    def remove(self) -> None:
        """Take the name away; the namespace itself goes with its last process."""
        os.close(self._net)
        os.close(self._mounts)
        _netns.remove(self.name)


def sweep() -> list[str]:
    """Remove what runs that are dead by now, killed before they could, have left behind; return the names."""
    found: list[str] = []
    for name in _netns.listnetns():
        owner = re.match(rf"{PREFIX}-(\d+)-", name)
        if owner is None or Path("/proc", owner[1]).exists():
            continue
        for pid in _netns.ns_pids().get(name, []):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):  # another run sweeps at the same time
            _netns.remove(name)
        found.append(name)
    return found


def _create(name: str) -> tuple[int, int]:
    """Make the namespaces around the calling thread; return descriptors of the network and of the mounts."""
    _check(_libc.unshare(_CLONE_NEWNET), f"create {name}")
    _netns.attach(name, "thread-self")
    try:
        _check(_libc.unshare(_CLONE_NEWNS), f"create the mounts of {name}")
        _mount("none", "/", None, _MS_REC | _MS_SLAVE)
        _mount("sysfs", "/sys", "sysfs")
        _mount("bpf", "/sys/fs/bpf", "bpf")
    except OSError:
        _netns.remove(name)
        raise
    kinds = ("net", "mnt")
    net, mounts = (os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds)
    return net, mounts


def _mount(source: str, target: str, kind: str | None, flags: int = 0) -> None:
    names = [source.encode(), target.encode(), kind.encode() if kind else None]
    _check(_libc.mount(*names, ctypes.c_ulong(flags), None), f"mount {target}")


def _check(result: int, tried: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{tried}: {os.strerror(error)}")


def _in_thread(function: Callable[[], T]) -> T:
    """Call function in a thread of its own, which takes the namespaces it entered with it when it ends."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(function).result()
