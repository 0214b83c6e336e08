"""Traffic under way: two processes that are waited for, or stopped, together."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Self

from penstock.lab.namespace import LabError

if TYPE_CHECKING:
    from types import TracebackType


class Underway:
    """A client that sends, and its server; a context manager that stops both.

    Args:
        what: What it is, for errors.
        client: The process that sends, whose standard output is a pipe.
        server: The one that receives.
        limit: s that either may take.
    """

    def __init__(
        self, what: str, client: subprocess.Popen[str], server: subprocess.Popen[str], limit: float
    ) -> None:
        self._what, self._client, self._server, self._limit = what, client, server, limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the traffic now."""
        for process in (self._client, self._server):
            process.terminate()
            process.wait()

    def _printed(self, process: subprocess.Popen[str]) -> str:
        """Wait until one of the two has ended; return what it printed. LabError if that is nothing."""
        try:
            output, errors = process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise LabError(f"{self._what}: not finished after {self._limit:g} s") from error
        if not output.strip():
            self.stop()
            raise LabError(f"{self._what}: broke off: {(errors or 'no message').strip()}")
        return output
