"""Carry packets between two descriptors: `relay.py FD FD [TAG…]`, run as a process by `penstock.lab.device`.

Without tags, both are TUN devices. With tags (VLAN identifiers, outermost first), the first is a TAP device
and the second a packet socket: frames get the tags on the way out, and only frames with those tags come in.
It ends when its standard input does, so that it does not outlive the lab.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
from typing import Final

_LONGEST: Final = 65536
_BATCH: Final = 64

# include/uapi/linux/if_packet.h: struct tpacket_auxdata and its flags
_AUXDATA: Final = struct.Struct("IIIHHHH")
_VLAN_VALID: Final = 0x10
_S_TAG: Final = 0x88A8
_C_TAG: Final = 0x8100
_ADDRESSES: Final = 12  # of an Ethernet header: tags come after


class Device:
    """A TUN or TAP device."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def receive(self) -> bytes | None:
        """Return the next packet that the kernel sends, None if there is none."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.descriptor, _LONGEST)
        return None

    def send(self, packet: bytes) -> None:
        """Give the kernel a packet to receive."""
        os.write(self.descriptor, packet)


class TaggedWire:
    """A packet socket on an Ethernet interface whose frames carry tags."""

    def __init__(self, descriptor: int, tags: list[int]) -> None:
        self.descriptor = descriptor
        self._socket = socket.socket(fileno=descriptor)
        types = [_S_TAG] * (len(tags) - 1) + [_C_TAG]
        self._tags = b"".join(struct.pack("!HH", *pair) for pair in zip(types, tags, strict=True))

    def receive(self) -> bytes | None:
        """Return the next frame without its tags, empty if it has others, None if there is no frame."""
        try:
            frame, ancillary, _, _ = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_AUXDATA.size))
        except BlockingIOError:
            return None
        for _, _, data in ancillary:  # the kernel has taken the outermost tag off
            status, _, _, _, _, tag, kind = _AUXDATA.unpack(data)
            if status & _VLAN_VALID:
                frame = frame[:_ADDRESSES] + struct.pack("!HH", kind, tag) + frame[_ADDRESSES:]
        end = _ADDRESSES + len(self._tags)
        return frame[:_ADDRESSES] + frame[end:] if frame[_ADDRESSES:end] == self._tags else b""

    def send(self, packet: bytes) -> None:
        """Send a frame with the tags."""
        self._socket.send(packet[:_ADDRESSES] + self._tags + packet[_ADDRESSES:])


def carry(source: Device | TaggedWire, target: Device | TaggedWire) -> None:
    """Carry what is there now, up to a batch. What the target has no room for is lost, as on any wire."""
    for _ in range(_BATCH):
        packet = source.receive()
        if packet is None:
            return
        if packet:
            with contextlib.suppress(BlockingIOError):
                target.send(packet)


def main() -> None:
    """Relay both ways until standard input ends."""
    left, right, *tags = map(int, sys.argv[1:])
    ends = (Device(left), TaggedWire(right, tags) if tags else Device(right))
    peers = {ends[0].descriptor: ends, ends[1].descriptor: ends[::-1]}
    poll = select.poll()
    for descriptor in (sys.stdin.fileno(), *peers):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor not in peers:
                return
            carry(*peers[descriptor])


if __name__ == "__main__":
    main()
