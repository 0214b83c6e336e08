"""Files that appear whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import PenstockError


class FileError(PenstockError):
    """A file that cannot be written."""


def check(path: Path) -> None:
    """Find out whether a file can be written, and leave all as it is. FileError if not."""
    with _failing(path):
        if _special(path):
            path.open("a").close()
            return
        temporary = _beside(path)
        temporary.touch(exist_ok=False)
        temporary.unlink()


def write(path: Path, text: str) -> None:
    """Write a file; who reads meanwhile sees the old one, or the new one. FileError if it cannot be."""
    with _failing(path):
        if _special(path):
            path.write_text(text, encoding="utf-8")
            return
        temporary = _beside(path)
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path.resolve())
        finally:
            temporary.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Make a directory and those above it, if they are not there. FileError if it cannot be."""
    with _failing(path):
        path.mkdir(parents=True, exist_ok=True)


def _special(path: Path) -> bool:
    """Whether it is there and no file to be replaced: a pipe or /dev/null; or a directory, which fails."""
    return path.exists() and not path.is_file()


def _beside(path: Path) -> Path:
    """A name that nobody else uses, where the file itself is, also behind a link."""
    target = path.resolve()
    return target.with_name(f".{target.name}.{os.getpid()}")


@contextmanager
def _failing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
