"""Who measures RTTs on a router: penstock in the kernel, or a capture that is read in user space."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab import LabError, run_rtt
from penstock.lab.pcap_rtts import PcapRtt
from penstock.lab.series import USER_HZ
from penstock.rtt.totals import MISSED

if TYPE_CHECKING:
    from penstock.lab import Interface

_SEEN: Final = re.compile(r"RTTs of (\d+) packets")
_MISSED: Final = re.compile(rf"(\d+) (?:{'|'.join(MISSED.values())})")
_NS: Final = 1e9


@dataclass
class Observation:
    """What somebody sees on an interface; all but `pids` is there at the end."""

    pids: Sequence[int] = ()
    """The processes."""
    processed: float = 0.0
    """Share of the packets that it has got to, by its own account."""
    times: NDArray[np.float64] | None = None
    """Of each RTT, when the reply was seen, s since 1970."""

    def cpu_seconds(self) -> float:
        """Return the s of CPU time that the processes have spent until now."""
        return sum(_spent(pid) for pid in self.pids) / USER_HZ


@contextmanager
def in_kernel(interface: Interface, rate_limit: str) -> Generator[Observation]:
    """Have `penstock rtt` measure, and write its events as JSON lines."""
    with run_rtt(interface.host, interface, "--rate-limit", rate_limit) as running:
        seen = Observation([running.process.pid])
        yield seen
    totals = running.messages()
    packets = _SEEN.search(totals)
    if packets is None:
        raise LabError(f"penstock rtt does not say how many packets it has seen: {totals}")
    missed = sum(map(int, _MISSED.findall(totals)))
    seen.processed = 1 - missed / max(int(packets[1]), 1)
    seen.times = running.rtts()["time"]


@contextmanager
def in_user_space(interface: Interface) -> Generator[Observation]:
    """Have tcpdump capture, and a process read that."""
    with PcapRtt(interface) as running:
        seen = Observation(running.pids)
        yield seen
    seen.processed = running.processed()
    seen.times = running.rtts()["time"] / _NS


def _spent(pid: int) -> int:
    """Return utime and stime of a process: fields 14 and 15 of proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
