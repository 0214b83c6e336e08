"""Compiled code, kept from one run to the next, by a hash of everything that it depends on.

A cache can only save time: if its folder is missing, not writable, or could have been written by somebody
else, or if an entry is damaged, the code is compiled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

LIMIT = 32 << 20
"""Bytes of all entries together; the ones not used for longest go first."""


def folder() -> Path:
    """Return where the user's entries are: $XDG_CACHE_HOME/penstock or ~/.cache/penstock."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()) / "penstock"


def key_of(*parts: str) -> str:
    """Return the name of the entry that depends on `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


class Cache:
    """Entries in a folder, each in a file: a SHA-256 of key and contents, then the contents."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path, self.limit = path, limit

    def get(self, key: str) -> bytes | None:
        """Return an entry, or None if there is none that can be trusted."""
        try:
            entry = os.open(self.path / key, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(entry, "rb") as file:
            if not _is_ours(self.path.stat()) or not _is_ours(os.fstat(entry)):
                return None
            data = file.read(self.limit)
            with contextlib.suppress(OSError):
                os.utime(entry)
        digest, contents = data[:32], data[32:]
        return contents if digest == _digest(key, contents) else None

    def put(self, key: str, contents: bytes) -> None:
        """Keep an entry, if that is possible."""
        import tempfile  # noqa: PLC0415  # with what it imports it takes as long as compiling from the cache

        with contextlib.suppress(OSError):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self.path.stat()):
                return
            file, name = tempfile.mkstemp(dir=self.path)
            try:
                with os.fdopen(file, "wb") as new:
                    new.write(_digest(key, contents) + contents)
                Path(name).replace(self.path / key)
            except OSError:
                Path(name).unlink(missing_ok=True)
            self._make_room()

    def _make_room(self) -> None:
        entries = [(entry, entry.stat()) for entry in self.path.iterdir()]
        size = sum(info.st_size for _, info in entries)
        for entry, info in sorted(entries, key=lambda found: found[1].st_mtime):
            if size <= self.limit:
                return
            entry.unlink(missing_ok=True)
            size -= info.st_size


def _digest(key: str, contents: bytes) -> bytes:
    return hashlib.sha256(key.encode() + contents).digest()


def _is_ours(info: os.stat_result) -> bool:
    """Whether nobody else can have written this: code from it goes into the kernel."""
    return info.st_uid == os.geteuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
