"""What tcpdump writes, read in bulk: the packets of TCP and ping in it that passive ping can use."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKET: Final = np.dtype(
    [
        ("time", "i8"),
        ("protocol", "u1"),
        ("source", "u4"),
        ("source_port", "u2"),
        ("target", "u4"),
        ("target_port", "u2"),
        ("offers", "u4"),
        ("answers", "u4"),
        ("timed", "?"),
    ]
)
"""A packet: when it was seen, ns since 1970; its flow; what a reply to it echoes, what it echoes itself, 0 if
nothing; and whether a reply comes at once. Both ports of ping are its identifier."""

TCP: Final = 6
ICMP: Final = 1

_HEADER: Final = 24
"""Bytes of a file before its first record."""

_LENGTH: Final = struct.Struct("8xI")
"""Of the record's bytes, in the header of it, that has 16."""

_FIELDS: Final = (
    ("s", "u4", 0),
    ("ns", "u4", 4),
    ("kind", ">u2", 28),
    ("version", "u1", 30),
    ("length", ">u2", 32),
    ("fragment", ">u2", 36),
    ("protocol", "u1", 39),
    ("source", ">u4", 42),
    ("target", ">u4", 46),
    ("source_port", ">u2", 50),
    ("target_port", ">u2", 52),
    ("sequence", ">u4", 54),
    ("words", "u1", 62),
    ("flags", "u1", 63),
    ("option", ">u4", 70),
    ("tsval", ">u4", 74),
    ("tsecr", ">u4", 78),
)
"""Those of a record's header, Ethernet, IPv4 without options, and TCP whose timestamps come first
among its options, as nearly all send them. ICMP's type, code, identifier and number are where TCP has the
source port and the sequence number."""

_NAMES, _FORMATS, _OFFSETS = (list(each) for each in zip(*_FIELDS, strict=True))
_RECORD: Final = np.dtype({"names": _NAMES, "formats": _FORMATS, "offsets": _OFFSETS, "itemsize": 82})

_IPV4: Final = 0x0800
_PLAIN: Final = 0x45
_FRAGMENT: Final = 0x1FFF
_TIMESTAMPS: Final = 0x0101080A
_FIN, _SYN, _ACK = 0x01, 0x02, 0x10
_REQUEST, _REPLY = 8 << 8, 0


class Parser:
    """Reads a capture, in pieces of any length as they come through a pipe, or at once.

    It has to be of Ethernet, written on this machine, with times in ns. Only IPv4 without options is read.
    """

    def __init__(self) -> None:
        self.records = 0
        """How many there were, of whatever kind."""
        self._rest = b""
        self._skip = _HEADER

    def feed(self, data: bytes) -> NDArray[Any]:
        """Return the packets whose records end in this piece: an array of `PACKET`."""
        data = self._rest + data
        places = list(self._places(data))
        *starts, end = places or [0]
        self._rest = data[end:]
        self.records += len(starts)
        return _packets(data, np.array(starts, np.intp))

    def _places(self, data: bytes) -> Iterator[int]:
        """Yield where each record begins, and where the last one ends."""
        at, end = self._skip, len(data)
        if end < at:
            return
        self._skip = 0
        while at + 16 <= end:
            after = at + 16 + _LENGTH.unpack_from(data, at)[0]
            if after > end:
                break
            yield at
            at = after
        yield at


def _packets(data: bytes, starts: NDArray[np.intp]) -> NDArray[Any]:
    # A record everywhere, of which those are taken that there are; the last may be a short one.
    everywhere = np.ndarray((len(data),), _RECORD, data + bytes(_RECORD.itemsize), strides=(1,))
    records = everywhere[starts]
    plain = (records["kind"] == _IPV4) & (records["version"] == _PLAIN)
    records = records[plain & (records["fragment"] & _FRAGMENT == 0)]
    kinds = (_segments(records), _echoes(records))
    packets = np.concatenate([packets for _, packets in kinds])
    return packets[np.argsort(np.concatenate([places for places, _ in kinds]))]


def _segments(records: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return TCP, but SYNs, which take a server long to answer; and which records they are."""
    wanted = (records["protocol"] == TCP) & (records["option"] == _TIMESTAMPS)
    places = np.flatnonzero(wanted & (records["flags"] & _SYN == 0))
    records = records[places]
    packets = _addressed(records, records["source_port"], records["target_port"])
    packets["offers"] = records["tsval"]
    packets["answers"] = np.where(records["flags"] & _ACK, records["tsecr"], 0)
    payload = records["length"].astype(np.int32) - 20 - (records["words"] >> 4) * 4
    packets["timed"] = (payload > 0) | (records["flags"] & _FIN != 0)
    return places, packets


def _echoes(records: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return ping's requests and replies, and which records they are."""
    wanted = (records["protocol"] == ICMP) & np.isin(records["source_port"], (_REQUEST, _REPLY))
    places = np.flatnonzero(wanted)
    records = records[places]
    identifier, number = records["sequence"] >> 16, (records["sequence"] & 0xFFFF) + 1  # 0 is nothing
    packets = _addressed(records, identifier, identifier)
    packets["timed"] = records["source_port"] == _REQUEST
    packets["offers"] = np.where(packets["timed"], number, 0)
    packets["answers"] = np.where(packets["timed"], 0, number)
    return places, packets


def _addressed(records: NDArray[Any], source_port: NDArray[Any], target_port: NDArray[Any]) -> NDArray[Any]:
    packets = np.empty(len(records), PACKET)
    packets["time"] = records["s"].astype(np.int64) * 1_000_000_000 + records["ns"]
    for name in ("protocol", "source", "target"):
        packets[name] = records[name]
    packets["source_port"], packets["target_port"] = source_port, target_port
    return packets
