"""What an editor knows of names in programs; `test_completions` compares it with both type checkers."""

from __future__ import annotations

from typing import reveal_type

from penstock.lang import (
    XDP_PASS,
    Array,
    ArrayMap,
    ArrayOfMaps,
    Global,
    HashMap,
    LruHash,
    PerCpuArray,
    Ref,
    RingBuf,
    SpinLock,
    Struct,
    Tc,
    Xdp,
    array,
    atomic,
    be16,
    be32,
    helpers,
    i64,
    u8,
    u16,
    u32,
    u64,
    xdp,
    zeros,
)


class Key(Struct):
    address: be32
    port: be16


class Slot(Struct):
    time: u64
    key: Key


class Flow(Struct):
    packets: u64
    seen: bool
    slots: Array[Slot] = array(4)
    mac: Array[u8] = array(6)
    names: Array[Array[be16]] = array(2, 3)
    lock: SpinLock


flows = LruHash(Key, Flow, 1024)
counts = HashMap(u32, u64, 16)
ports = PerCpuArray(be16, 4)
flags = ArrayMap(bool, 4)
total = Global(u64)
state = Global(Flow)
address = Global(be32)
events = RingBuf(Slot, 4096)
numbers = RingBuf(u64, 4096)
generations = ArrayOfMaps(HashMap(u32, Slot, 16), 2)


def visit(key: u32, value: Ref[u64], slot: Slot) -> int:
    return 0


def visit_flow(key: Key, flow: Flow, slot: Slot) -> int:
    return 0


@xdp
def program(packet: Xdp) -> int:
    reveal_type(packet.length)  # int
    reveal_type(packet.read(Key, 0))  # Key | None
    reveal_type(packet.read(u16, 12))  # Ref[int] | None
    reveal_type(packet.read(be16, 12))  # Ref[be16] | None
    flow = flows.lookup(Key(port=be16(80)))
    reveal_type(flow)  # Flow | None
    if flow is None:
        return XDP_PASS
    reveal_type(flow)  # Flow
    reveal_type(flow.packets)  # int
    reveal_type(flow.seen)  # bool
    reveal_type(flow.slots)  # Array[Slot]
    reveal_type(flow.slots[1])  # Slot
    reveal_type(flow.slots[1].key.port)  # be16
    reveal_type(flow.mac[0])  # int
    reveal_type(flow.names[0][1])  # be16
    reveal_type(len(flow.mac))  # int
    reveal_type(counts.lookup(5))  # Ref[int] | None
    reveal_type(ports.lookup(0))  # Ref[be16] | None
    reveal_type(flags.lookup(0))  # Ref[bool] | None
    if (count := counts.lookup(5)) is not None:
        reveal_type(count.value)  # int
        atomic.add(count.value, 1)
    reveal_type(total.value)  # int
    reveal_type(state.value)  # Flow
    reveal_type(state.value.packets)  # int
    reveal_type(address.value)  # be32
    reveal_type(u32(address.value))  # int
    record = events.reserve()
    reveal_type(record)  # Slot | None
    if record:
        events.submit(record)
    number = numbers.reserve()
    reveal_type(number)  # Ref[int] | None
    if number:
        number.value = 5
        numbers.submit(number)
    inner = generations.lookup(0)
    reveal_type(inner)  # HashMap[int, Slot] | None
    if inner:
        reveal_type(inner.lookup(7))  # Slot | None
    buffer = zeros(u8, 64)
    reveal_type(buffer)  # Array[int]
    reveal_type(zeros(be16, 4)[0])  # be16
    for i in range(4):
        reveal_type(i)  # int
        slot = flow.slots[i]
        reveal_type(slot)  # Slot
        counts.for_each(visit, slot)
        flows.for_each(visit_flow, slot)
    reveal_type(helpers.ktime_get_ns())  # int
    reveal_type(i64(5))  # int
    return XDP_PASS


def marked(packet: Tc) -> u32:
    reveal_type(packet.tstamp)  # int
    packet.mark = 5
    return packet.mark
