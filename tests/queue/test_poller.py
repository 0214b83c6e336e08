"""The process that polls."""

import penstock
from penstock.lang import XDP_DROP, Global, Xdp, u64, xdp
from penstock.queue.poller import Poller

runs = Global(u64, name="runs")


@xdp
def count(packet: Xdp) -> int:
    runs.value += 1
    return XDP_DROP


def test_it_polls_once_it_is_there():
    with penstock.load(count) as loaded:
        poller = Poller(loaded[count])
        seen = loaded[runs].value
        poller.stop()
        assert seen > 0
