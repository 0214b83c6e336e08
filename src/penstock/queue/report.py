"""What a queue counted, as lines to read."""

from __future__ import annotations

from typing import Any

from penstock.queue.session import LOSSES, SENT

DROPS = (*LOSSES, "dropped")
"""All that may become of a packet that does not leave; the last is the scheduler's doing."""

_WHY = {"dropped": "by the scheduler"}

Found = dict[str, Any]


def table(found: Found) -> str:
    """Return everything, a line each."""
    rate = f"{found['rate'] / 1e6:g} Mbit/s" if found["rate"] else "unlimited"
    options = " ".join(f"{name}={value}" for name, value in found["options"].items())
    lines = [f"{found['scheduler']} {options}".rstrip(), f"rate {rate}"]
    lines += [_counted(name, found[name]) for name in ("in", "out", *SENT, *DROPS, "waiting")]
    passed = ", ".join(
        f"{number:,} {name.replace('_', ' ')}" for name, number in found["passed"].items() if number
    )
    lines.append(f"to the stack: {passed or 'none'}")
    if waits := _waits(found["sojourn_ns"]):
        lines.append(f"waited: {waits}")
    lines += [_class(name, counts) for name, counts in found["classes"].items() if counts["in"]["packets"]]
    return "\n".join(lines)


def _counted(name: str, counts: dict[str, int]) -> str:
    return f"{name:12}{counts['packets']:14,} packets{counts['bytes']:18,} bytes"


def totals(found: Found) -> str:
    """Return what became of the packets, in one line."""
    sent = {name: found[name]["packets"] for name in SENT}
    lost = {_WHY.get(name, name): found[name]["packets"] for name in DROPS}
    drops = ", ".join(f"{number} {name}" for name, number in lost.items() if number)
    dropped = f"{sum(lost.values())} dropped ({drops})" if drops else "none dropped"
    ways = ", ".join(f"{number} {name}" for name, number in sent.items())
    waiting = found["waiting"]["packets"]
    return f"{sum(sent.values())} packets sent ({ways}); {dropped}; {waiting} left waiting"


def changes(before: Found, found: Found, seconds: float) -> str:
    """Return what happened between two looks so many seconds apart, in one line."""
    new = {name: found[name]["packets"] - before[name]["packets"] for name in (*SENT, *DROPS)}
    bits = 8 * sum(found[name]["bytes"] - before[name]["bytes"] for name in SENT)
    dropped = sum(new[name] for name in DROPS)
    ways = ", ".join(f"{new[name]:,} {name}" for name in SENT)
    waiting = found["waiting"]["packets"]
    return f"{bits / seconds / 1e6:9.2f} Mbit/s  {ways}; {dropped:,} dropped; {waiting:,} waiting"


def _class(name: str, counts: Found) -> str:
    """What one class of the scheduler counts."""
    dropped, waiting = counts["dropped"]["packets"], counts["waiting"]["packets"]
    more = [f"{dropped:,} dropped"] if dropped else []
    more += [f"{waiting:,} waiting"] if waiting else []
    if waits := _waits(counts["sojourn_ns"]):
        more.append(f"waited {waits}")
    return f"{_counted(name, counts['out'])}  {'; '.join(more)}"


def _waits(buckets: list[int]) -> str:
    """The median and the 99th percentile, as upper bounds: buckets are powers of two."""
    total = sum(buckets)
    if not total:
        return ""
    parts: list[str] = []
    for name, share in (("half", 0.5), ("99 %", 0.99)):
        below, bucket = 0, 0
        while below + buckets[bucket] < share * total:
            below += buckets[bucket]
            bucket += 1
        parts.append(f"{name} under {2**bucket / 1e6:.3g} ms" if bucket else f"{name} not at all")
    return ", ".join(parts)
