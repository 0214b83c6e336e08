"""Hosts and links on one machine, and real traffic between them.

Each host is a network namespace, each link a veth pair: the kernel's own TCP, forwarding and queues at work.

    with Lab() as lab:
        a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
        lab.link(a, m)
        lab.link(m, b, rate=50_000_000, delay=10_000_000)
        print(ping(a, b, count=3).rtts_ms)  # a little more than 20 ms

Needs CAP_SYS_ADMIN and CAP_NET_ADMIN (root has both).
"""

from penstock.lab.capture import Capture
from penstock.lab.flood import Flood, flood
from penstock.lab.host import Host, Interface
from penstock.lab.iperf import Arrived, Iperf, iperf
from penstock.lab.lab import Lab
from penstock.lab.namespace import LabError
from penstock.lab.queues import RunningQueue, run_queue
from penstock.lab.rtts import RTT, RunningRtt, run_rtt
from penstock.lab.series import Series, cpu_seconds, sent_bytes
from penstock.lab.traffic import Ping, Totals, Transfer, bulk, exchange, ping
from penstock.lab.workload import COMPLETED, PLAN, Workload, heavy_tailed, send_flows

__all__ = [
    "COMPLETED",
    "PLAN",
    "RTT",
    "Arrived",
    "Capture",
    "Flood",
    "Host",
    "Interface",
    "Iperf",
    "Lab",
    "LabError",
    "Ping",
    "RunningQueue",
    "RunningRtt",
    "Series",
    "Totals",
    "Transfer",
    "Workload",
    "bulk",
    "cpu_seconds",
    "exchange",
    "flood",
    "heavy_tailed",
    "iperf",
    "ping",
    "run_queue",
    "run_rtt",
    "send_flows",
    "sent_bytes",
]
