"""Weighted fair queueing, self-clocked.

Packets leave in the order of their virtual finish times, as in Demers, Keshav and Shenker, Analysis and
Simulation of a Fair Queueing Algorithm (SIGCOMM 1989). Their virtual time follows a fluid server. Here it
is the finish tag of the packet in service, which is near and costs nothing: Golestani, A Self-Clocked Fair
Queueing Scheme for Broadband Applications (INFOCOM 1994). He counts from 0 again after idle times; going on
from the last tag gives the same order.
"""

from __future__ import annotations

from penstock.lang import u64
from penstock.schedulers.stfq import Stfq


class Wfq(Stfq):
    """Shares the link among flows by weight, from 1 to 1000, in the order in which they would finish.

    What arrives is dropped if its flow has as many packets waiting as there is room left.
    """

    def rank(self, start: u64, finish: u64) -> u64:
        return finish
