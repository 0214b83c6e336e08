"""Send IPv4 packets from many sources: `flooder.py JSON`, run as a process by `penstock.lab.flood`."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["syn", "data", "udp"]

SOURCES: Final = (1 << 22) - 2  # of the shared addresses 100.64.0.0/10 (RFC 6598)
_FIRST_SOURCE: Final = int(IPv4Address("100.64.0.1"))
_BATCH: Final = 1024
_PROTOCOL: Final = {"syn": socket.IPPROTO_TCP, "data": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_SYN: Final = 0x02
_PUSH_ACK: Final = 0x18
_SOL_PACKET: Final = 263  # include/linux/socket.h
_PACKET_QDISC_BYPASS: Final = 20  # include/uapi/linux/if_packet.h


@dataclass(frozen=True)
class Order:
    """What the flooding process is asked for."""

    interface: str
    mac: str
    gateway: str
    target: str
    port: int
    kind: Kind
    packets: int
    seconds: float

    def frame(self) -> bytes:
        """Return the frame that all others are copies of, with source, ports and checksum still to be set."""
        ethernet = _mac(self.gateway) + _mac(self.mac) + b"\x08\x00"
        transport = self._udp() if self.kind == "udp" else self._tcp()
        length = (20 + len(transport)).to_bytes(2, "big")
        rest = bytes([64, _PROTOCOL[self.kind], 0, 0])
        target = IPv4Address(self.target).packed
        return ethernet + b"\x45\x00" + length + b"\x00\x00\x40\x00" + rest + bytes(4) + target + transport

    def _udp(self) -> bytes:
        return bytes(2) + self.port.to_bytes(2, "big") + b"\x00\x09\x00\x00" + b"\x00"

    def _tcp(self) -> bytes:
        flags, echo, data = (_SYN, 0, b"") if self.kind == "syn" else (_PUSH_ACK, 1, b"\x00")
        timestamps = b"\x01\x01\x08\x0a" + (1).to_bytes(4, "big") + echo.to_bytes(4, "big")
        header = bytes(2) + self.port.to_bytes(2, "big") + bytes(8) + bytes([8 << 4, flags]) + b"\xff\xff"
        return header + bytes(4) + timestamps + data


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def set_sources(frames: NDArray[np.uint8], first: int) -> None:
    """Give each row (an Ethernet frame with IPv4) the next source address and port, and its checksums.

    That of UDP stays 0: it has none.
    """
    number = np.arange(first, first + len(frames), dtype=np.uint32)
    frames[:, 26:30] = (_FIRST_SOURCE + number).astype(">u4").view(np.uint8).reshape(-1, 4)
    frames[:, 34:36] = (1024 + number % 60000).astype(">u2").view(np.uint8).reshape(-1, 2)
    frames[:, 24:26] = 0
    frames[:, 24:26] = _checksums(frames[:, 14:34])
    if frames[0, 23] == socket.IPPROTO_TCP:
        frames[:, 50:52] = 0, socket.IPPROTO_TCP + frames.shape[1] - 34  # the rest of the pseudo header
        frames[:, 50:52] = _checksums(frames[:, 26:])


def _checksums(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the Internet checksum (RFC 1071) of each row."""
    even = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    sums = even.view(">u2").sum(axis=1, dtype=np.uint32)
    sums = (sums & 0xFFFF) + (sums >> 16)
    sums = (sums & 0xFFFF) + (sums >> 16)
    return (~sums).astype(np.uint16).astype(">u2").view(np.uint8).reshape(-1, 2)


class Batch:
    """Frames that one sendmmsg(2) call sends."""

    def __init__(self, frame: bytes, size: int) -> None:
        self.frames = np.tile(np.frombuffer(frame, np.uint8), (size, 1))
        # struct iovec, then struct mmsghdr, as sendmmsg(2) reads them on a 64-bit machine
        self._vectors = np.zeros((size, 2), np.uint64)
        self._vectors[:, 0] = self.frames.ctypes.data + np.arange(size) * len(frame)
        self._vectors[:, 1] = len(frame)
        self._messages = np.zeros((size, 8), np.uint64)
        self._messages[:, 2] = self._vectors.ctypes.data + np.arange(size) * 16
        self._messages[:, 3] = 1
        self._libc = ctypes.CDLL(None, use_errno=True)

    def send(self, descriptor: int, count: int) -> None:
        """Send the first `count` frames."""
        done = 0
        while done < count:
            pointer = ctypes.c_void_p(self._messages.ctypes.data + done * 64)
            sent = self._libc.sendmmsg(descriptor, pointer, count - done, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            done += sent


def send(order: Order) -> dict[str, float]:
    """Send what is asked for; return how many packets, in which time."""
    batch = Batch(order.frame(), _BATCH)
    start = time.monotonic()
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((order.interface, 0))
        wire.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        while sent < order.packets and time.monotonic() < start + order.seconds:
            count = min(_BATCH, order.packets - sent)
            set_sources(batch.frames, sent)
            batch.send(wire.fileno(), count)
            sent += count
    return {"packets": sent, "seconds": time.monotonic() - start}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send(Order(**json.loads(sys.argv[1])))) + "\n")
