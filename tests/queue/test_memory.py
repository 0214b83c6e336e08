"""How much memory a queue takes for each packet that may wait."""

from __future__ import annotations

import pytest

import penstock
from penstock.kernel.attributes import MapInfo
from penstock.kernel.handle import object_info
from penstock.lang import Xdp, xdp
from penstock.lang.maps import MapKind
from penstock.queue.egress import Egress
from penstock.queue.frames import Frames
from penstock.queue.packets import Packets
from penstock.queue.scheduler import Scheduler
from penstock.queue.session import FRAME
from penstock.schedulers.carousel import Carousel
from penstock.schedulers.edf import Edf
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.las import Las
from penstock.schedulers.stfq import Stfq

MOST = FRAME + 64


def memory(scheduler: type[Scheduler], slots: int) -> int:
    """Return how many bytes are in the arrays of a queue that is loaded."""
    packets = Packets(slots)
    egress = Egress(1, packets, Frames(packets, FRAME), scheduler(packets))

    @xdp
    def arrive(packet: Xdp) -> int:
        return egress.arrive(packet)

    with penstock.load(arrive) as loaded:
        infos = [object_info(made.fileno(), MapInfo) for made in loaded.maps.values()]
        # The kernel rounds elements up to 8 bytes (kernel/bpf/arraymap.c).
        return sum(
            info.max_entries * -(-info.value_size // 8) * 8 for info in infos if info.type == MapKind.ARRAY
        )


@pytest.mark.parametrize("scheduler", [Fifo, Edf, Stfq, Carousel, FqCodel, Las])
@pytest.mark.parametrize("slots", [1000, 8192, 8193])
def test_each_slot_takes_64_bytes_more_at_most(scheduler: type[Scheduler], slots: int) -> None:
    """Besides its frame's; also where a PIFO has room for more, which takes a power of two."""
    fixed = memory(scheduler, 1) - MOST
    assert memory(scheduler, slots) - fixed <= slots * MOST
