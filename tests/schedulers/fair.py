"""What fair queues have in common: flows that always wait, and how far their shares may come apart."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from tests.schedulers.harness import Arrive, Leave, Rig

backlogs = st.lists(st.lists(st.integers(1, 9018), min_size=1, max_size=60), min_size=2, max_size=4)
"""Lengths of the packets of each flow, which all come at once."""


def shares(rig: Rig, flows: list[list[int]], **tunables: int) -> list[list[int]]:
    """Bytes that each flow has sent after each packet, as long as all have more to send."""
    rig.reset(**tunables)
    arrivals = [
        Arrive(0, number, length, dscp=number << 3)
        for packets in itertools.zip_longest(*flows)
        for number, length in enumerate(packets)
        if length is not None
    ]
    rig.run(arrivals)
    left = [len(packets) for packets in flows]
    sent = [[0] * len(flows)]
    for result in rig.run([Leave(1)] * len(arrivals)):
        flow = arrivals[result.serial].flow
        left[flow] -= 1
        sent.append([total + (n == flow) * result.length for n, total in enumerate(sent[-1])])
        if left[flow] == 0:
            break
    return sent


def apart(sent: list[list[int]], one: int, other: int, weights: list[int]) -> float:
    """By how much the normalised service of two flows differs at most, over any time: bytes of weight 1."""
    differences = [totals[one] / weights[one] - totals[other] / weights[other] for totals in sent]
    return max(differences) - min(differences)
