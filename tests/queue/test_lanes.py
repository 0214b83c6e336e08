"""When a packet may leave: what was redirected a moment ago has to be before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import penstock
from penstock.lang import Array, Global, Struct, Xdp, array, u32, u64, xdp
from penstock.queue.lanes import DRAIN, POLLER, Lanes, carrier_of, lane_of
from penstock.queue.packets import Packets

LANE, HERE, THERE, FRAME = 5, 7, 8, 1 << 16


class Answers(Struct):
    of: Array[u64] = array(6)


def test_nothing_overtakes_what_another_cpu_redirected() -> None:
    lanes = Lanes(Packets(4))
    answers = Global(Answers, name="answers")

    @xdp
    def ask(packet: Xdp) -> int:
        found = answers.value
        lanes.redirected(u32(LANE), u32(FRAME), u32(HERE))
        found.of[0] = u64(lanes.may_leave(u32(LANE), u32(FRAME + 1), u32(THERE)))
        found.of[1] = u64(lanes.may_leave(u32(LANE), u32(FRAME), u32(THERE)))
        found.of[2] = u64(lanes.may_leave(u32(LANE), u32(FRAME + 1), u32(HERE)))
        lanes.redirected(u32(LANE), u32(POLLER), u32(HERE))
        found.of[3] = u64(lanes.may_leave(u32(LANE), u32(DRAIN), u32(THERE)))
        found.of[4] = u64(lanes.comes_next(u32(LANE), u32(DRAIN), u32(HERE)))
        waiting = lanes.packets.take()
        if waiting is not None:
            waiting.lane = LANE
            lanes.park(waiting)
        found.of[5] = u64(lanes.comes_next(u32(LANE), u32(DRAIN), u32(HERE)))
        return 0

    with penstock.load(ask) as loaded:
        loaded[ask].test_run(bytes(64))
        of = [int(each) for each in loaded[answers].memory["of"].reshape(-1)]
    same_queue, same_cpu, before_any_is_parked = of[1], of[2], of[4]
    assert same_queue == same_cpu == before_any_is_parked == 1
    assert of[0] == 0, "another CPU, another receive queue"
    assert of[3] == 0, "a drain that sleeps is none that polls"
    assert of[5] == 0, "one of its lane is parked"


def test_receive_queues_that_share_a_lane_are_told_apart() -> None:
    one, other = (
        carrier_of(cast("Xdp", SimpleNamespace(ifindex=i, rx_queue=q))) for i, q in ((2, 17), (3, 0))
    )
    assert lane_of(one) == lane_of(other)
    assert one != other
