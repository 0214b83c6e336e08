"""Packets of an interface in a file, as tcpdump writes them."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING, Final

from penstock.lab.namespace import LabError
from penstock.lab.running import Running

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from penstock.lab.host import Interface

_COUNTS: Final = re.compile(
    r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped"
)
_BUFFER: Final = 1 << 18
"""kB that the kernel holds for tcpdump: enough for a second or two of whatever one core forwards."""

_PATIENCE: Final = 10.0
"""s for tcpdump to write what the kernel holds for it."""


class Capture(Running):
    """Packets of an interface, both ways, with ns times, until its `with` block ends.

    `packets` is how many there were. What XDP redirects is not seen.

    Args:
        interface: Whose packets.
        path: Where they are written, as a pcap file.
        snapshot: Bytes that are kept of each.

    Raises:
        LabError: tcpdump does not start, or has lost packets: what it wrote would be no record.
    """

    def __init__(self, interface: Interface, path: Path, snapshot: int = 256) -> None:
        options = ["-i", interface.name, "-w", str(path), "-s", str(snapshot), "-B", str(_BUFFER)]
        command = ["tcpdump", "-n", "--time-stamp-precision=nano", "-Z", "root", *options]
        super().__init__(interface.host, command, "listening on")
        self.path = path
        self.packets = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            self.stop()

    def _settle(self) -> None:
        """Wait until tcpdump has read what the kernel still holds for it: it would leave that behind."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self.alive():
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(0.1)
            counts = _COUNTS.findall(self.messages())
            self.packets, received, dropped = map(int, counts[-1]) if counts else (0, 1, 0)
            if dropped:
                raise LabError(f"tcpdump lost {dropped} of {received} packets: {self.path} is no record")
            if self.packets >= received:
                return
        raise LabError(f"tcpdump does not go on writing {self.path}: {self.packets} packets are there")
