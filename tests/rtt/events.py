"""Event records as the kernel programs make them, for tests."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.rtt.records import Event, EventKind

DTYPE = Event.__layout__.dtype


def packed(address: str) -> bytes:
    """Sixteen bytes; IPv4 mapped."""
    parsed = ip_address(address)
    return (parsed if isinstance(parsed, IPv6Address) else IPv6Address(f"::ffff:{parsed}")).packed


def event(**fields: Any) -> npt.NDArray[Any]:
    """One event, an RTT of TCP unless said otherwise; addresses as text."""
    values: dict[str, Any] = {
        "timestamp": 5_000_000_123,
        "rtt": 25_300_000,
        "min_rtt": 24_900_000,
        "sent_packets": 10,
        "sent_bytes": 1000,
        "received_packets": 9,
        "received_bytes": 900,
        "source": "10.0.0.1",
        "destination": "10.0.0.2",
        "source_port": 443,
        "destination_port": 51234,
        "protocol": 6,
        "kind": EventKind.RTT,
        "on_egress": 1,
    } | fields
    record = np.zeros(1, DTYPE)
    for name, value in values.items():
        is_address = name in ("source", "destination")
        record[name] = np.frombuffer(packed(value), DTYPE[name]) if is_address else value
    return record


def together(*events: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One array of them all, byte order kept."""
    return np.concatenate(events, dtype=DTYPE)


def many(count: int, flows: int, seed: int = 1) -> npt.NDArray[Any]:
    """RTTs of that many flows, half IPv4 and half IPv6, at random."""
    random = np.random.default_rng(seed)
    addresses = random.integers(0, 256, (2, flows, 16), dtype=np.uint8)
    addresses[:, ::2, :12] = list(packed("10.0.0.0")[:12])
    flow = random.integers(0, flows, count)
    events = np.zeros(count, DTYPE)
    events["timestamp"] = 10**12 + np.cumsum(random.integers(0, 5000, count))
    for name, each in zip(("source", "destination"), addresses, strict=True):
        events[name] = each[flow].reshape(-1).view(DTYPE[name])
    events["source_port"] = random.integers(0, 65536, flows)[flow]
    events["destination_port"] = 443
    events["protocol"] = 6
    events["kind"] = EventKind.RTT
    for name in ("rtt", "min_rtt", "sent_packets", "sent_bytes", "received_packets", "received_bytes"):
        events[name] = random.integers(1, 1 << 30, count)
    return events
