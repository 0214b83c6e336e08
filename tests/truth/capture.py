"""A capture of what passes an interface, written by tcpdump."""

import re
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.lab import Interface

_COUNTS = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped")
_PATIENCE = 10.0  # s for tcpdump to start, or to write what it has


class Capture:
    """Packets of an interface, both ways, with ns times, from entering a `with` block to its end.

    `packets` is how many there were. RuntimeError if tcpdump does not start, or has lost any.
    """

    def __init__(self, interface: Interface, path: Path, snapshot: int = 256) -> None:
        self.path = path
        self.packets = 0
        self._host = interface.host
        self._log = path.with_suffix(".log")
        self._command = ["tcpdump", "-i", interface.name, "-w", str(path), "-s", str(snapshot), "-n"]
        self._command += ["--time-stamp-precision=nano", "-B", str(1 << 18), "-Z", "root"]

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = self._host.popen(self._command, stderr=log)
        end = time.monotonic() + _PATIENCE
        while "listening on" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > end:
                message = f"tcpdump does not start: {self._log.read_text()}"
                raise RuntimeError(message)
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE)

    def _settle(self) -> None:
        """Wait until tcpdump has read what the kernel still holds for it: it would leave that behind."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(0.1)
            counts = _COUNTS.findall(self._log.read_text())
            self.packets, received, dropped = map(int, counts[-1]) if counts else (0, 1, 0)
            if dropped:
                message = f"tcpdump lost {dropped} of {received} packets: the capture cannot be the judge"
                raise RuntimeError(message)
            if self.packets >= received:
                return
        message = f"tcpdump has written {self.packets} of {received} packets and does not go on"
        raise RuntimeError(message)
