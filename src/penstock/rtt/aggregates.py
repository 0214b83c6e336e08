"""What the kernel summed up for each prefix in one interval, made ready to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.rtt.histogram import LOWER, percentiles
from penstock.rtt.naming import name_address

Records = npt.NDArray[Any]

PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "other": "other"}


class Traffic(NamedTuple):
    """Packets and their IP lengths in bytes."""

    packets: int
    bytes: int


@dataclass(frozen=True)
class Rtts:
    """RTTs of a prefix in ns. `histogram`: lower bound and count of each bucket that is not empty."""

    count: int
    minimum: int
    mean: float
    median: float
    p95: float
    p99: float
    maximum: int
    histogram: list[tuple[int, int]]


class Report(NamedTuple):
    """One prefix in one interval: what came from its addresses (`sent`), went to them (`received`), and RTTs.

    `protocols` and `ecn` (not-ECT, ECT(1), ECT(0), CE, in packets) count both ways together.
    """

    prefix: str
    sent: Traffic
    received: Traffic
    protocols: dict[str, Traffic]
    ecn: tuple[int, int, int, int]
    rtts: Rtts | None


def name_prefixes(keys: Records, prefix_v4: int, prefix_v6: int) -> list[str]:
    """Return `Prefix` records as text; `prefix_v4` and `prefix_v6` are lengths in bits."""
    names = [name_address(key.tobytes()) for key in keys["address"]]
    return [f"{name}/{prefix_v6 if ':' in name else prefix_v4}" for name in names]


def summarise(prefixes: Sequence[str], values: Records) -> list[Report]:
    """Return a report for each prefix that saw traffic. `values`: `Aggregate` records, (prefixes, CPUs)."""
    rtts = _rtts(values)
    counters = [name for name in values.dtype.names or () if name.endswith(("packets", "bytes"))]
    sums: dict[str, list[int]] = {n: values[n].sum(axis=1, dtype=np.uint64).tolist() for n in counters}
    ecn = values["ecn"].sum(axis=1).tolist()
    return [
        Report(
            prefix=prefix,
            sent=Traffic(sums["sent_packets"][row], sums["sent_bytes"][row]),
            received=Traffic(sums["received_packets"][row], sums["received_bytes"][row]),
            protocols={
                word: Traffic(sums[f"{name}_packets"][row], sums[f"{name}_bytes"][row])
                for word, name in PROTOCOLS.items()
            },
            ecn=tuple(ecn[row]),
            rtts=rtts.get(row),
        )
        for row, prefix in enumerate(prefixes)
        if sums["sent_packets"][row] or sums["received_packets"][row]
    ]


def _rtts(values: Records) -> dict[int, Rtts]:
    """Return the RTTs of each row that has any."""
    counts = values["rtt_count"].sum(axis=1)
    rows = np.flatnonzero(counts)
    values, counts = values[rows], counts[rows]
    seen = values["rtt_count"] > 0  # what a CPU that saw no RTT holds for a minimum means nothing
    least = values["rtt_min"].min(axis=1, where=seen, initial=np.iinfo(np.uint64).max)
    most = values["rtt_max"].max(axis=1, where=seen, initial=0)
    means = values["rtt_sum"].sum(axis=1) / counts
    histograms = values["histogram"].sum(axis=1, dtype=np.uint64)
    found = np.clip(percentiles(histograms, (0.5, 0.95, 0.99)), least[:, None], most[:, None])
    columns = (counts, least, means, *found.T, most)
    figures = zip(*(column.tolist() for column in columns), _sparse(histograms), strict=True)
    return {row: Rtts(*figure) for row, figure in zip(rows.tolist(), figures, strict=True)}


def _sparse(histograms: Records) -> Iterator[list[tuple[int, int]]]:
    for histogram in histograms:
        buckets = np.flatnonzero(histogram)
        yield list(zip(LOWER[buckets].tolist(), histogram[buckets].tolist(), strict=True))
