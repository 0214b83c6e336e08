"""How flows and what happens to them are spelled: in ePPing's words (bpf-examples, pping/pping.c)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.rtt.records import Event, EventKind, Reason, Trigger

Events = npt.NDArray[Any]
"""Event records: a structured array of `Event.__layout__.dtype`."""

PROTOCOLS = {6: "TCP", 1: "ICMP", 58: "ICMPv6"}
_CHANGES: dict[int, str] = {EventKind.OPENING: "opening", EventKind.CLOSING: "closing"}
_REASONS: dict[int, str] = {
    Reason.NONE: "none",
    Reason.SYN: "SYN",
    Reason.SYN_ACK: "SYN-ACK",
    Reason.FIRST_PACKET: "first observed packet",
    Reason.FIN: "FIN",
    Reason.RST: "RST",
    Reason.TIMEOUT: "flow timeout",
}
_TRIGGERS: dict[int, str] = {
    Trigger.NONE: "garbage collection",
    Trigger.SOURCE: "src",
    Trigger.DESTINATION: "dest",
}

_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address in IPv6: RFC 4291, 2.5.5.2
# What names a flow lies together in an event, from its source to its protocol.
_NAME = struct.Struct(">16s16sHHB")
_KEY = np.dtype(
    {
        "names": ["flow"],
        "formats": [f"S{_NAME.size}"],
        "offsets": [Event.__layout__.fields["source"].offset],
        "itemsize": Event.__layout__.size,
    }
)
_CACHED = 1 << 18


class Flow(NamedTuple):
    """A flow's name, in words."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str

    @property
    def pair(self) -> str:
        """`source:port+destination:port`, as pping names a flow."""
        return f"{self.source}:{self.source_port}+{self.destination}:{self.destination_port}"


def flow_keys(events: Events) -> list[bytes]:
    """Return what tells the flow of each event from others: addresses, ports and protocol, as they lie there.

    The protocol comes last and is never 0, so that no byte is lost to NumPy's trimming of zeros.
    """
    return events.view(_KEY)["flow"].tolist()


def reverse_key(key: bytes) -> bytes:
    """Return the key of the other direction."""
    source, destination, source_port, destination_port, protocol = _NAME.unpack(key)
    return _NAME.pack(destination, source, destination_port, source_port, protocol)


def name_flow(key: bytes) -> Flow:
    """Return the flow of a key from `flow_keys`."""
    source, destination, source_port, destination_port, protocol = _NAME.unpack(key)
    word = PROTOCOLS.get(protocol, str(protocol))
    return Flow(name_address(source), source_port, name_address(destination), destination_port, word)


def name_address(address: bytes) -> str:
    """Return 16 bytes as text; mapped IPv4 as IPv4."""
    if address.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


@cache
def name_interface(index: int) -> str:
    """Return the name of an interface, or its number if it has gone meanwhile."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)


def name_changes(events: Events) -> list[tuple[str, str, str]]:
    """Return what happened to the flow of each event, why, and by whom."""
    kinds, reasons, triggers = (events[name].tolist() for name in ("kind", "reason", "trigger"))
    return [
        (_CHANGES[k], _REASONS[r], _TRIGGERS[t]) for k, r, t in zip(kinds, reasons, triggers, strict=True)
    ]


class FlowTexts(dict[bytes, str]):
    """Text for each flow, written once: most of the time it takes to format an event goes into addresses."""

    def __init__(self, write: Callable[[Flow], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, key: bytes) -> str:
        if len(self) >= _CACHED:
            self.clear()
        self[key] = text = self._write(name_flow(key))
        return text

    def of(self, events: Events) -> list[str]:
        """Return the text of each event's flow."""
        return [self[key] for key in flow_keys(events)]
