"""Where events and reports go as text: standard output, or a file that can be opened anew."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from penstock.errors import PenstockError
from penstock.rtt.aggregates import Report
from penstock.rtt.formats import Aggregation, Format
from penstock.rtt.naming import Events


class Printer:
    """Writes in one format, a batch at a time and without delay, never part of a line.

    `path` is opened at once, so that a bad one is known before anything is attached: PenstockError. What it
    holds is continued, if the format allows that.
    """

    def __init__(
        self, form: Format, path: Path | None = None, aggregation: Aggregation | None = None
    ) -> None:
        self._form = form
        self._path = path
        self._aggregation = aggregation
        self._file = sys.stdout.fileno() if path is None else self._open(path)

    def begin(self) -> None:
        """Write what the format begins with."""
        self._write(self._form.begin(self._aggregation))

    def events(self, events: Events) -> None:
        """Write events."""
        self._write(self._form.events(events))

    def reports(self, timestamp: int, reports: Sequence[Report]) -> None:
        """Write the reports of an interval that ended at `timestamp`, ns, monotonic."""
        self._write(self._form.reports(timestamp, reports))

    def reopen(self) -> None:
        """Go on in a new file if the old one was moved away or removed, as logrotate does before SIGHUP."""
        if self._path is None or self._is_current(self._path):
            return
        new = self._open(self._path)
        self.end()
        self._file = new
        self.begin()

    def end(self) -> None:
        """Write what the format ends with, and close the file."""
        try:
            self._write(self._form.end())
        finally:
            if self._path is not None:
                os.close(self._file)

    def _open(self, path: Path) -> int:
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _refused(path, error) from error
        if os.fstat(file).st_size and not self._form.continues:
            os.close(file)
            raise PenstockError(
                f"cannot write to {path}: it is not empty, and its JSON array cannot be continued; "
                "remove it, or use --format jsonl"
            )
        return file

    def _is_current(self, path: Path) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(path.stat(), os.fstat(self._file))
        return False

    def _write(self, text: str) -> None:
        data = text.encode("ascii")
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except BrokenPipeError:
            raise  # the reader has what it wanted
        except OSError as error:
            raise _refused(self._path or "standard output", error) from error


def _refused(where: object, error: OSError) -> PenstockError:
    return PenstockError(f"cannot write to {where}: {(error.strerror or str(error)).lower()}")
