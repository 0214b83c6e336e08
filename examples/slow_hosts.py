"""Hosts with the highest median RTT, by penstock rtt as a library: python examples/slow_hosts.py eth0."""

import sys
import time

import numpy as np

from penstock.rtt.monitor import Monitor
from penstock.rtt.naming import name_address
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind


def main(interface: str, seconds: float = 10) -> dict[str, float]:
    with Monitor([interface], RttOptions(rate_limit=0, flow_events=False)) as monitor:
        end = time.monotonic() + seconds
        batches = [monitor.read()]
        while time.monotonic() < end:
            time.sleep(0.05)
            batches.append(monitor.read())
        events = np.concatenate(batches, dtype=batches[0].dtype)  # addresses stay big-endian
    rtts = events[events["kind"] == EventKind.RTT]
    hosts, index = np.unique(rtts["source"], axis=0, return_inverse=True)
    medians = {
        name_address(host.tobytes()): np.median(rtts["rtt"][index == i]) / 1e6 for i, host in enumerate(hosts)
    }
    return dict(sorted(medians.items(), key=lambda item: -item[1])[:10])


if __name__ == "__main__":
    for host, milliseconds in main(sys.argv[1]).items():
        print(f"{milliseconds:9.3f} ms  {host}")
