"""Pairs the RTTs that penstock reported with those that the capture has."""

import json
import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from tests.truth.rtts import Rtt

Flow = tuple[str, int, str, int, str]


@dataclass(frozen=True)
class Comparison:
    """Which RTTs are in both, only in the capture (`missing`), only in the report (`unsupported`).

    `pairs` are (reported, captured); a difference is reported less captured RTT, in ns.
    """

    pairs: list[tuple[Rtt, Rtt]]
    missing: list[Rtt]
    unsupported: list[Rtt]

    @property
    def differences(self) -> list[int]:
        """Differences of all pairs, in ns."""
        return [reported.rtt - captured.rtt for reported, captured in self.pairs]

    @property
    def median_error(self) -> float:
        """The median of the differences' absolute values, in ns."""
        return statistics.median(map(abs, self.differences))

    @property
    def miscounted(self) -> list[tuple[Rtt, Rtt]]:
        """Pairs whose packets and bytes differ."""
        return [
            (reported, captured) for reported, captured in self.pairs if reported.counts != captured.counts
        ]

    def __str__(self) -> str:
        error = f"{self.median_error:.0f} ns" if self.pairs else "none"
        return (
            f"{len(self.pairs)} RTTs in both, median error {error}, "
            f"{len(self.missing)} missing {self.missing[:3]}, "
            f"{len(self.unsupported)} unsupported {self.unsupported[:3]}"
        )


def reported_rtts(lines: Iterable[str]) -> list[Rtt]:
    """Return the RTT events among penstock's JSON lines."""
    events = (json.loads(line) for line in lines if line.strip())
    return [Rtt(*(event[field] for field in Rtt._fields)) for event in events if "rtt" in event]


def compare(reported: Sequence[Rtt], captured: Sequence[Rtt], within: int = 5_000_000) -> Comparison:
    """Pair what is of the same flow and closest in time and RTT, each at most once; the same counts first.

    RTTs of one flow may follow each other faster than the two looks at a packet on a busy machine. Nothing is
    paired whose time or RTT differs by more than `within` ns.
    """
    pairs: list[tuple[Rtt, Rtt]] = []
    missing: list[Rtt] = []
    unsupported: list[Rtt] = []
    reports, captures = _by_flow(reported), _by_flow(captured)
    for flow in reports.keys() | captures.keys():
        found, *rest = _pair(reports[flow], captures[flow], within)
        pairs += found
        unsupported += rest[0]
        missing += rest[1]
    return Comparison(sorted(pairs), sorted(missing), sorted(unsupported))


def _by_flow(rtts: Iterable[Rtt]) -> defaultdict[Flow, list[Rtt]]:
    flows: defaultdict[Flow, list[Rtt]] = defaultdict(list)
    for rtt in sorted(rtts):
        flows[rtt.flow].append(rtt)
    return flows


def _pair(
    reported: list[Rtt], captured: list[Rtt], within: int
) -> tuple[list[tuple[Rtt, Rtt]], list[Rtt], list[Rtt]]:
    """Take the pairs with the same counts first, then the closest; return them, and what is left of each."""
    candidates: list[tuple[bool, int, int, int]] = []
    for i, report in enumerate(reported):
        start = bisect_left(captured, report.timestamp - within, key=attrgetter("timestamp"))
        for j in range(start, len(captured)):
            apart = abs(captured[j].timestamp - report.timestamp)
            error = abs(captured[j].rtt - report.rtt)
            if captured[j].timestamp > report.timestamp + within:
                break
            if error <= within:
                candidates.append((report.counts != captured[j].counts, apart + error, i, j))
    left, right = set(range(len(reported))), set(range(len(captured)))
    pairs: list[tuple[Rtt, Rtt]] = []
    for *_, i, j in sorted(candidates):
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            pairs.append((reported[i], captured[j]))
    return pairs, [reported[i] for i in sorted(left)], [captured[j] for j in sorted(right)]
