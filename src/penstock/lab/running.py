"""A program that runs on a host until it is told to end, and says when it has begun."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import weakref
from typing import TYPE_CHECKING, Final, Self

from penstock.lab.namespace import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from penstock.lab.host import Host

PENSTOCK: Final = (sys.executable, "-P", "-m", "penstock")
"""The command line of this very penstock, whatever is in the working directory."""

BEGUN: Final = "Ctrl-C ends it"
"""What penstock's own commands print once they do what they are for."""

_START: Final = 60.0
"""s for a program to begin: a scheduler may have to be compiled, on a busy machine."""

_END: Final = 5.0
"""s for it to end."""

_LONGEST: Final = 1 << 20


class Running:
    """A program under way; a context manager that ends it.

    Args:
        host: Where it runs.
        command: Its arguments.
        begun: What it prints on stderr once it has begun; the constructor waits for that.
        output: Descriptor that its standard output goes to; nowhere by default.
        source: Descriptor that its standard input comes from; nowhere by default.

    Raises:
        LabError: It did not begin: with what it printed.
    """

    def __init__(
        self,
        host: Host,
        command: Sequence[str],
        begun: str,
        output: int = subprocess.DEVNULL,
        source: int = subprocess.DEVNULL,
    ) -> None:
        self.host = host
        self._command = " ".join(command)
        self._messages = os.memfd_create("messages")
        weakref.finalize(self, os.close, self._messages)
        self.process = host.popen(command, stdin=source, stdout=output, stderr=self._messages)
        self._told = False
        end = time.monotonic() + _START
        while begun not in self.messages():
            if not self.alive() or time.monotonic() > end:
                self._told = True
                self._end()
                raise LabError(f"{host.name}: {self._command}: {self._reason()}")
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def messages(self) -> str:
        """Return what it has printed on stderr until now."""
        return os.pread(self._messages, _LONGEST, 0).decode()  # it writes where the descriptor stands

    def stop(self) -> None:
        """End it, if it has not ended; LabError if it failed before it was told to end."""
        if not self._told:
            self._told = True
            if self.process.poll():
                raise LabError(f"{self.host.name}: {self._command} ended too early: {self._reason()}")
            self._end()

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _reason(self) -> str:
        """The last message, which may have several lines: a mistake in a scheduler shows its source."""
        *_, last = re.split(r"^(?:penstock|Error): ", self.messages(), flags=re.MULTILINE)
        return last.strip() or f"no message, exit status {self.process.returncode}"
