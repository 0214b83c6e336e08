"""RTTs measured in user space: a capture by libpcap, and a process that reads it."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from penstock.lab.namespace import LabError
from penstock.lab.passive import PASSIVE_RTT
from penstock.lab.pcap_reader import READY
from penstock.lab.running import Running

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.lab.host import Interface

_READER: Final = (sys.executable, "-P", "-m", "penstock.lab.pcap_reader")
_SNAPSHOT: Final = 96
"""Bytes of each packet that are captured: all headers with their options."""

_BUFFER: Final = 1 << 16
"""kB that the kernel holds for tcpdump: 32 times what it does by default."""

_PIPE: Final = 1 << 20
"""Bytes between the two, the most that Linux grants: so the reader has much to do at once."""

_END: Final = 10.0
"""s for the reader to take what the pipe holds."""

_RECEIVED: Final = re.compile(r"(\d+) packets? received by filter")
_READ: Final = re.compile(r"(\d+) packets\n$")


class PcapRtt:
    """RTTs of what passes an interface, both ways, until its `with` block ends: tcpdump and a reader.

    The reader parses in bulk (`penstock.lab.pcap`) and matches as `penstock.lab.passive` does. What the two
    have not got to at the end, they have not processed; where there are few packets, libpcap leaves them to
    the kernel for up to a second.

    Raises:
        LabError: One of the two does not start.
    """

    def __init__(self, interface: Interface) -> None:
        self._output = os.memfd_create("rtts")
        weakref.finalize(self, os.close, self._output)
        leaves, enters = os.pipe()
        fcntl.fcntl(enters, fcntl.F_SETPIPE_SZ, _PIPE)
        options = ["-i", interface.name, "-s", str(_SNAPSHOT), "-B", str(_BUFFER), "-w", "-"]
        capture = ["tcpdump", "-n", "--time-stamp-precision=nano", "-Z", "root", *options]
        try:
            self._reader = Running(interface.host, _READER, READY, output=self._output, source=leaves)
            self._capture = Running(interface.host, capture, "listening on", output=enters)
        finally:
            os.close(leaves)
            os.close(enters)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> tuple[int, int]:
        """The processes."""
        return self._capture.process.pid, self._reader.process.pid

    def stop(self) -> None:
        """End both, if they have not ended; LabError if one of them failed."""
        self._capture.stop()
        try:
            self._reader.process.wait(_END)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"the reader of a capture does not end within {_END:g} s") from error
        finally:
            self._reader.stop()

    def processed(self) -> float:
        """Return the share of the packets that it has got to, of those that were there, once it has ended."""
        received = _RECEIVED.search(self._capture.messages())
        read = _READ.search(self._reader.messages())
        if received is None or read is None:
            raise LabError("a capture does not say how many packets there were")
        return int(read[1]) / max(int(received[1]), 1)

    def rtts(self) -> NDArray[Any]:
        """Return its RTTs, an array of `PASSIVE_RTT`, once it has ended."""
        return np.frombuffer(os.pread(self._output, os.fstat(self._output).st_size, 0), PASSIVE_RTT)
