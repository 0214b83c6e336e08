"""UDP packets at a steady rate, for a process: `datagrams.py ADDRESS BYTES PER_SECOND SECONDS`.

The kernel cuts one long write into packets, so that Python can send 100,000 of them in a second.
"""

import socket
import sys
import time

DISCARD = 9
UDP_SEGMENT = 103  # include/uapi/linux/udp.h
AT_ONCE = 32
PERIOD = 0.001
"""s between writes."""


def main() -> None:
    address, size, per_second, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, size)
    packets, sent, start = bytes(size * AT_ONCE), 0, time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        due = int(passed * per_second) - sent
        if due <= 0:
            time.sleep(PERIOD)
            continue
        count = min(due, AT_ONCE)
        sender.sendto(packets[: size * count], (address, DISCARD))
        sent += count


if __name__ == "__main__":
    main()
