"""Carry packets between two TUN devices: `relay.py FD FD`, run as a process by `penstock.lab.tun`.

It ends when its standard input does, so that it does not outlive the lab.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from typing import Final

_LONGEST: Final = 65536
_BATCH: Final = 64
_LOST: Final = (errno.EAGAIN, errno.EIO)
"""What a write says when the device has no room, or is not up."""


def carry(source: int, target: int) -> None:
    """Carry what is there now, up to a batch. What the target cannot take is lost, as on any wire."""
    for _ in range(_BATCH):
        try:
            packet = os.read(source, _LONGEST)
        except BlockingIOError:
            return
        try:
            os.write(target, packet)
        except OSError as error:
            if error.errno not in _LOST:
                raise


def main() -> None:
    """Relay both ways until standard input ends."""
    left, right = map(int, sys.argv[1:])
    peers = {left: right, right: left}
    poll = select.poll()
    for descriptor in (sys.stdin.fileno(), *peers):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor not in peers:
                return
            carry(descriptor, peers[descriptor])


if __name__ == "__main__":
    main()
