"""Hosts that share one bottleneck: the network of experiments that compare schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.experiments.hashing import room
from penstock.lab import run_queue

if TYPE_CHECKING:
    from penstock.lab import Host, Interface, Lab, RunningQueue


@dataclass(frozen=True)
class Dumbbell:
    """Senders, a router, and behind its slowest link a host that receives; made by `dumbbell`.

        sender ──┐                 queue           delay
        sender ──┴─► entrances  router  bottleneck ─────► receiver

    Packets wait in the queue before the bottleneck, and nowhere else.
    """

    senders: Mapping[str, Host]
    router: Host
    receiver: Host
    entrances: Mapping[str, Interface]
    """Of the router, by the sender behind it: where packets are that have not waited yet."""
    bottleneck: Interface
    """Of the router."""

    def queue(self, scheduler: str, rate: int, **options: object) -> RunningQueue:
        """Have what the senders send wait before the bottleneck; rate and options as for `run_queue`."""
        sources, options = [*self.entrances.values()], room(scheduler) | options
        return run_queue(self.router, scheduler, sources, self.bottleneck, rate=rate, **options)


def dumbbell(lab: Lab, *senders: str, delay: int) -> Dumbbell:
    """Make the network in a lab: hosts of these names, and a last link that takes `delay` ns each way."""
    router, receiver = lab.router("router"), lab.host("receiver")
    hosts = {name: lab.host(name) for name in senders}
    entrances = {name: lab.link(host, router, xdp=True)[1] for name, host in hosts.items()}
    bottleneck, _ = lab.link(router, receiver, delay=delay, xdp=True)
    return Dumbbell(hosts, router, receiver, entrances, bottleneck)
