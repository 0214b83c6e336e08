"""A queue before an interface: what happens to a packet that is to leave there, and to those that wait."""

from __future__ import annotations

from copy import copy
from typing import Final

from penstock.lang import (
    XDP_DROP,
    Global,
    RingBuf,
    Struct,
    Tc,
    Xdp,
    atomic,
    global_subprogram,
    helpers,
    u8,
    u32,
    u64,
)
from penstock.queue import classes
from penstock.queue.classify import describe
from penstock.queue.frames import Frames
from penstock.queue.lanes import DRAIN, POLLER, Lanes, carrier_of, lane_of
from penstock.queue.link import Link
from penstock.queue.owner import Owner
from penstock.queue.packets import NO_GENERATION, Packets, QueuedPacket
from penstock.queue.scheduler import NEVER, Scheduler
from penstock.queue.statistics import Statistics, Traffic, count

BATCH: Final = 64
"""Packets that the drain sends before it lets others have the queue."""

TRIES: Final = 4
"""Packets that the scheduler is asked for, to find one that may leave by this CPU."""

_FORCE_WAKEUP: Final = 2
_RING: Final = 4096


class State(Struct):
    """What the queue's owner knows."""

    until: u64
    """When the drain looks next: ns, or NEVER."""
    patience: u64
    """How long the drain leaves an overdue packet to those that arrive, ns."""
    seed: u64
    """Of the hash of flows."""
    where: u32
    """By which CPU the drain may send what it could not by its own, and one; 0: by any."""
    polled: u32
    """1: a drain that polls sends everything, and nobody has to be woken."""


class Egress:
    """A queue before an interface, with a scheduler.

    All that is in the kernel's memory is in maps of this object, so several programs can share it, and
    another scheduler can take over what waits.
    """

    def __init__(self, ifindex: int, packets: Packets, frames: Frames, scheduler: Scheduler) -> None:
        self.ifindex = ifindex
        self.packets = packets
        self.frames = frames
        self.scheduler = scheduler
        self.generation = 0
        self.carrier = POLLER
        self.owner = Owner()
        self.lanes = Lanes(packets)
        self.link = Link()
        self.statistics = Statistics()
        self.state = Global(State, name="state")
        self.wake = RingBuf(u64, _RING, name="wake")

    def run_by(self, scheduler: Scheduler, generation: int) -> Egress:
        """Return the same queue with another scheduler, in which packets are of that generation."""
        self.carrier += 1  # two that poll may run at once, also of one generation
        other = copy(self)
        other.scheduler = scheduler
        other.generation = generation
        return other

    def arrive(self, packet: Xdp) -> u32:
        """Send a frame, or have it wait; return the XDP action. It is ready to leave: routed, rewritten.

        If a packet is due, it leaves in this frame: so arrivals clock departures, and frames cost nothing.
        """
        length, carrier, own = packet.length, carrier_of(packet), u32(0)
        if self.owner.acquire():
            alone = self._is_alone(carrier)
            # To read the clock takes longer than all else that a packet needs which passes by.
            now = u64(0) if alone and self.link.is_unlimited() else helpers.ktime_get_ns()
            if alone and self.link.is_free(now):
                return self._pass_by(carrier, length, now)
            if self.owner.has_staged():
                self._absorb(now)
            own = self._keep(packet, length, lane_of(carrier), now)
        else:
            now = helpers.ktime_get_ns()
            if not self._leave(packet, length, lane_of(carrier), now):
                return XDP_DROP
            self._absorb(now)
        chosen = self._choose(carrier, now) if self.state.value.polled == 0 else u32(0)
        action = self._swap(packet, carrier, own, chosen - 1, now) if chosen != 0 else u32(XDP_DROP)
        self._done(now)
        return action

    def drain(self, packet: Tc) -> None:
        """Send what is due, in packets made from this one."""
        now = helpers.ktime_get_ns()
        state = self.state.value
        if not self.owner.acquire():
            state.until = now
            return
        self._absorb(now)
        left = now - min(now, state.patience >> 1)  # what is due later is still left to those that arrive
        for _ in range(BATCH):
            chosen = self._call_next(DRAIN, now) if self.link.is_free(left) else u32(0)
            if chosen == 0:
                break
            self._send(packet, chosen - 1, now)
        state.until, state.where = self._due(now), self.lanes.where()
        if self.owner.release():
            state.until = now

    def poll(self, packet: Xdp) -> u32:
        """Send one packet that is due in this frame; return the XDP action, XDP_DROP if none is.

        Whether to look is decided without owning the queue, so that those who have packets get it.
        """
        now = helpers.ktime_get_ns()
        idle = self.packets.waiting() == 0 or not self.link.is_free(now)
        if (idle and not self.owner.has_staged()) or not self.owner.acquire():
            return XDP_DROP
        self._absorb(now)
        action = u32(XDP_DROP)
        carrier = u32(self.carrier)
        chosen = self._choose(carrier, now)
        entry = self.packets.at(chosen - 1) if chosen != 0 else None
        if entry is not None:
            self._mark(entry)
            if self.frames.put(packet, chosen - 1, entry.length, packet.length):
                action = self._leaves(entry, self.statistics.counts.value.drained, carrier, now)
            else:
                self.lanes.put_back(entry)
        self.owner.release()
        return action

    def _mark(self, entry: QueuedPacket) -> None:
        """Mark a packet if the scheduler says so, and its sender knows what that means."""
        if entry.mark != 0 and entry.ecn != 0 and entry.network != 0:
            self.frames.mark(entry.slot, u32(entry.network))

    def _leaves(self, entry: QueuedPacket, how: Traffic, carrier: u32, now: u64) -> u32:
        """Count a packet that leaves in the frame at hand; return the XDP action for it."""
        self.lanes.redirected(u32(entry.lane), carrier, helpers.get_smp_processor_id())
        self.link.send(entry.length, now, entry.arrival)
        self._count(entry, how, now)
        self.packets.give_back(entry)
        return u32(helpers.redirect(self.ifindex))

    def _count(self, entry: QueuedPacket, how: Traffic, now: u64) -> None:
        """Count a packet that left, and how long it had waited."""
        sojourn = now - entry.arrival
        self.statistics.left(how, entry.length, sojourn)
        classes.sent(self.scheduler.counts_of(entry), entry, sojourn)

    def _is_alone(self, carrier: u32) -> bool:
        """Whether a packet has none to wait for, but for the link."""
        if self.scheduler.holds_back or self.packets.waiting() != 0 or self.owner.has_staged():
            return False
        return self.state.value.polled == 0 and self.lanes.may_leave(
            lane_of(carrier), carrier, helpers.get_smp_processor_id()
        )

    def _pass_by(self, carrier: u32, length: u32, now: u64) -> u32:
        """Send a packet that waits for nothing, in its own frame; return the XDP action."""
        self.lanes.redirected(lane_of(carrier), carrier, helpers.get_smp_processor_id())
        self.link.send(length, now, now)
        count(self.statistics.counts.value.bypassed, length)
        if self.owner.release():
            self._wake()
        return u32(helpers.redirect(self.ifindex))

    def _keep(self, packet: Xdp, length: u32, lane: u32, now: u64) -> u32:
        """Copy a frame into a slot and give it to the scheduler; its number and one, 0 if it is dropped."""
        number = self._room(now)
        entry = self.packets.at(number - 1) if number != 0 else None
        if entry is None:
            count(self.statistics.counts.value.overflowed, length)
            return 0
        entry.length, entry.arrival, entry.lane = length, now, u8(lane)
        describe(packet, entry, self.state.value.seed)
        if not self.frames.keep(packet, number - 1, length):
            count(self.statistics.counts.value.failed, length)
            self.packets.give_back(entry)
            return 0
        large = self.scheduler.is_large
        admitted = self._call_admit(number - 1, now) if large else self._admit(number - 1, now)
        return number if admitted else 0

    def _leave(self, packet: Xdp, length: u32, lane: u32, now: u64) -> bool:
        """Leave a frame to the owner. True: that one has gone meanwhile, and the caller owns the queue."""
        number = self.owner.reserve()
        entry = self.packets.at(number - 1) if number != 0 else None
        if entry is None or not self.frames.keep(packet, number - 1, length):
            crowded = self.statistics.counts.value.crowded
            atomic.add(crowded.packets, 1)
            atomic.add(crowded.bytes, u64(length))
            return False
        entry.slot, entry.mark, entry.length, entry.arrival = number - 1, 0, length, now
        entry.generation, entry.lane = NO_GENERATION, u8(lane)
        describe(packet, entry, self.state.value.seed)
        self.owner.leave(number - 1)
        return self.owner.acquire()

    @global_subprogram
    def _absorb(self, now: u64) -> u32:
        """Take all packets that were left, and give free slots for them."""
        for _ in range(self.owner.places):
            left = self.owner.take()
            if left == 0:
                break
            number, cpu = u32(left) - 1, u32(left >> 32)
            replacement = self._room(now)
            if replacement == 0:
                entry = self.packets.at(number)
                if entry is not None:
                    count(self.statistics.counts.value.overflowed, entry.length)
                self.owner.give(cpu, number)
            else:
                self.owner.give(cpu, replacement - 1)
                self._call_admit(number, now)
        return 0

    def _room(self, now: u64) -> u32:
        """The number of a free slot and one; 0 if there is none, and the scheduler drops nothing for it."""
        entry = self.packets.take()
        return entry.slot + 1 if entry is not None else self._make_room(now)

    @global_subprogram
    def _make_room(self, now: u64) -> u32:
        dropped = self.scheduler.make_room(now)
        if dropped is None:
            return 0
        count(self.statistics.counts.value.overflowed, dropped.length)
        classes.dropped(self.scheduler.counts_of(dropped), dropped)
        self.packets.give_back(dropped)
        entry = self.packets.take()
        return entry.slot + 1 if entry is not None else 0

    @global_subprogram
    def _call_admit(self, number: u32, now: u64) -> bool:
        """The same by a call, at which the verifier looks once: in loops, or where there is much else."""
        return self._admit(number, now)

    def _admit(self, number: u32, now: u64) -> bool:
        """Give a packet to the scheduler; False if it does not take it."""
        entry = self.packets.at(number)
        if entry is None:
            return False
        entry.generation = u8(self.generation)  # unless the scheduler, in a handover, knows better
        accepted = self.scheduler.enqueue(entry, now)
        generation = u32(entry.generation)
        made = self.scheduler.made_copy()
        twin = self.packets.at(made - 1) if made != 0 else None
        classes.came(self.scheduler.counts_of(entry), entry)
        if twin is not None:
            classes.came(self.scheduler.counts_of(entry), entry)
            self.frames.copy(number, made - 1)
            self.packets.admit(twin, generation)
        if accepted:
            self.packets.admit(entry, generation)
            return True
        classes.dropped(self.scheduler.counts_of(entry), entry)
        entry.generation = NO_GENERATION
        count(self.statistics.counts.value.refused, entry.length)
        self.packets.give_back(entry)
        return False

    def _choose(self, carrier: u32, now: u64) -> u32:
        return self._call_next(carrier, now) if self.scheduler.is_large else self._next(carrier, now)

    @global_subprogram
    def _call_next(self, carrier: u32, now: u64) -> u32:
        """The same by a call."""
        return self._next(carrier, now)

    def _next(self, carrier: u32, now: u64) -> u32:
        """The number of the packet to send now, in a frame of that carrier, and one; 0 if none is due."""
        if not self.link.is_free(now):
            return 0
        cpu = helpers.get_smp_processor_id()
        parked = self.lanes.leave(carrier, cpu)
        if parked != 0:
            return parked
        for _ in range(TRIES):
            entry = self.scheduler.dequeue(now) if not self.lanes.is_full() else None
            if entry is None:
                return 0
            if self.lanes.comes_next(u32(entry.lane), carrier, cpu):
                return entry.slot + 1
            self.lanes.park(entry)
        return 0

    def _swap(self, packet: Xdp, carrier: u32, own: u32, number: u32, now: u64) -> u32:
        """Send a packet in a frame that arrived, which has its bytes already if that one is its `own`."""
        entry = self.packets.at(number)
        if entry is None:
            return XDP_DROP
        self._mark(entry)
        same = number + 1 == own and entry.mark == 0
        if not same and not self.frames.put(packet, number, entry.length, packet.length):
            self.lanes.put_back(entry)
            return XDP_DROP
        return self._leaves(entry, self.statistics.counts.value.swapped, carrier, now)

    def _send(self, packet: Tc, number: u32, now: u64) -> None:
        """Send a packet in one of the drain's."""
        entry = self.packets.at(number)
        if entry is None:
            return
        counts = self.statistics.counts.value
        self._mark(entry)
        self.lanes.gone(u32(entry.lane))
        if self.frames.send(packet, number, entry.length, self.ifindex):
            self.link.send(entry.length, now, entry.arrival)
            self._count(entry, counts.drained, now)
        else:
            count(counts.failed, entry.length)
            classes.dropped(self.scheduler.counts_of(entry), entry)
        self.packets.give_back(entry)

    def _done(self, now: u64) -> None:
        """Let go of the queue, and see to it that the drain looks after what waits."""
        state = self.state.value
        # Nothing is due before the link is free: mostly the drain looks soon enough.
        if self.packets.waiting() != 0 and self.link.free_at() + state.patience < state.until:
            due = self._due(now)
            if due < state.until:
                state.until = due
                self._wake()
        if self.owner.release():
            self._wake()

    @global_subprogram
    def _due(self, now: u64) -> u64:
        """When the drain has to look, if nothing arrives before: ns, or NEVER."""
        if self.packets.waiting() == 0:
            return NEVER
        due = now if self.lanes.where() != 0 else self.scheduler.next_due(now)
        if due == NEVER:
            return NEVER
        # A time that the scheduler chose is to be kept: patience is for the link.
        return max(due, self.link.free_at() + self.state.value.patience)

    def _wake(self) -> None:
        record = self.wake.reserve()
        if record is not None:
            record.value = 0
            self.wake.submit(record, _FORCE_WAKEUP)
