"""Measure RTTs of a capture that comes through a pipe: the process that `penstock.lab.pcap_rtts` runs.

It reads pcap from its standard input until that ends, and writes RTTs to its standard output as they are in
memory, an array of `PASSIVE_RTT`. At the end it says how many packets there were.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from penstock.lab.passive import Matcher
from penstock.lab.pcap import Parser

READY: Final = "ready\n"
_MOST: Final = 1 << 20
"""Bytes that are read at once, if there are so many."""


def main() -> None:
    """Read, and measure."""
    parser, matcher = Parser(), Matcher()
    sys.stderr.write(READY)
    sys.stderr.flush()
    while data := os.read(sys.stdin.fileno(), _MOST):
        sys.stdout.buffer.write(matcher.feed(parser.feed(data)).tobytes())
    sys.stderr.write(f"{parser.records} packets\n")


if __name__ == "__main__":
    main()
