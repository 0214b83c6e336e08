"""A flood of packets, each from another source."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.lab.flooder import SOURCES, Kind, Order
from penstock.lab.namespace import LabError

if TYPE_CHECKING:
    from penstock.lab.host import Interface

_FLOODER: Final = [sys.executable, "-I", str(Path(__file__).with_name("flooder.py"))]


@dataclass(frozen=True)
class Flood:
    """How many packets were sent, in which time."""

    packets: int
    seconds: float


def flood(
    interface: Interface,
    towards: Interface,
    target: str,
    *,
    kind: Kind = "syn",
    packets: int = 1_000_000,
    port: int = 9,
    seconds: float = 60.0,
) -> Flood:
    """Send IPv4 packets out of an interface, each from another address, and wait until all are sent.

    Args:
        interface: Where they leave.
        towards: The neighbour's end of the link, which forwards them.
        target: Destination address.
        kind: `syn` (TCP SYN), `data` (a TCP segment with timestamps and a byte of data) or `udp`.
        packets: How many, up to 4 million.
        port: Destination port; 9 is discard.
        seconds: How long, at most.

    Raises:
        LabError: More packets than there are sources, or the interface does not take them.
    """
    if not 0 < packets <= SOURCES:
        message = f"cannot flood with {packets} packets: each has its own source, of {SOURCES} that there are"
        raise LabError(message)
    order = Order(interface.name, interface.mac, towards.mac, target, port, kind, packets, seconds)
    command = [*_FLOODER, json.dumps(asdict(order))]
    return Flood(**json.loads(interface.host.run(command, timeout=seconds + 20)))
