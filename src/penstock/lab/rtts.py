"""`penstock rtt` on a host, as users run it."""

from __future__ import annotations

import json
import os
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.lab.running import BEGUN, PENSTOCK, Running

if TYPE_CHECKING:
    from penstock.lab.host import Host, Interface

RTT: Final = np.dtype(
    [
        ("time", "f8"),
        ("rtt", "f8"),
        ("source", "U39"),
        ("source_port", "u2"),
        ("destination", "U39"),
        ("destination_port", "u2"),
        ("protocol", "U6"),
    ]
)
"""Of an RTT: when it was seen, s since 1970; the RTT, s; who replied, and to whom."""

_FIELDS: Final = ("src_ip", "src_port", "dest_ip", "dest_port", "protocol")
_NS: Final = 1e-9


class RunningRtt(Running):
    """RTTs of what passes an interface, measured by a process of its own; made by `run_rtt`.

    A context manager, that ends it; the lab does at the latest.
    """

    def __init__(self, host: Host, interface: Interface, options: tuple[str, ...]) -> None:
        self._output = os.memfd_create("rtts")
        weakref.finalize(self, os.close, self._output)
        command = [*PENSTOCK, "rtt", interface.name, "--format", "jsonl", *options]
        super().__init__(host, command, BEGUN, self._output)

    def rtts(self) -> NDArray[Any]:
        """End it, if it has not ended, and return its RTTs: an array of `RTT`, in order of time."""
        self.stop()
        with open(os.dup(self._output), encoding="utf-8") as output:  # noqa: PTH123  # a descriptor has no path
            output.seek(0)
            events = [json.loads(line) for line in output]
        rows = [_row(event) for event in events if "rtt" in event]
        return np.sort(np.array(rows, RTT), order="time")


def run_rtt(host: Host, interface: Interface, *options: str) -> RunningRtt:
    """Start `penstock rtt`, and return when it measures.

    Args:
        host: Where it runs.
        interface: The interface of that host whose packets it sees.
        options: Others of the command line, as they are there: "--rate-limit", "0".

    Raises:
        LabError: It cannot run: with what penstock printed.
    """
    return RunningRtt(host, interface, options)


def _row(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["timestamp"] * _NS, event["rtt"] * _NS, *(event[field] for field in _FIELDS)
