"""The way into a queue for programs that forward: several of them may lead to it, and to several."""

from __future__ import annotations

from penstock.lang import ProgArray, Xdp, helpers, tail_call, u32
from penstock.queue.frames import Frames


class Gate:
    """Leads to the program by which frames arrive at a queue at the moment, so that each changes alone."""

    def __init__(self, ifindex: int, frames: Frames) -> None:
        self.ifindex = ifindex
        self.frames = frames
        self.programs = ProgArray(1, name="gate")

    def arrive(self, packet: Xdp) -> u32:
        """Give a frame to the queue and return its XDP action. It is ready to leave: routed, rewritten."""
        tail_call(packet, self.programs, 0)
        # The process is ending, and the kernel has let go of the queue before the program that forwards.
        return u32(helpers.redirect(self.ifindex))
