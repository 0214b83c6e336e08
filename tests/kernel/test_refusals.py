"""Programs of the language that the verifier refuses: the reason, at the Python line marked `# refused`."""

import inspect
import linecache

import pytest

import penstock
from penstock.errors import VerifierError
from penstock.lang import (
    XDP_DROP,
    XDP_PASS,
    Array,
    ArrayMap,
    HashMap,
    Program,
    RingBuf,
    SpinLock,
    Struct,
    Xdp,
    array,
    helpers,
    u8,
    u32,
    u64,
    xdp,
    zeros,
)
from penstock.net.ethernet import Ethernet


class Slots(Struct):
    used: u64
    slots: Array[u64] = array(8)


class Guarded(Struct):
    lock: SpinLock
    count: u64


tables = HashMap(u32, Slots, 16)
guarded = ArrayMap(Guarded, 1)
records = RingBuf(Slots, 4096)


@xdp
def index_without_a_limit(packet: Xdp) -> int:
    table = tables.lookup(0)
    if table is not None:
        table.slots[packet.rx_queue] = 1  # refused
    return XDP_PASS


@xdp
def index_on_the_stack_without_a_limit(packet: Xdp) -> int:
    seen = zeros(u64, 4)
    seen[packet.rx_queue] = 1  # refused
    return XDP_DROP if seen[0] else XDP_PASS


@xdp
def record_that_is_never_submitted(packet: Xdp) -> int:
    record = records.reserve()  # refused
    if record is not None and packet.length > 100:
        records.submit(record)
    return XDP_PASS


@xdp
def record_used_after_it_is_submitted(packet: Xdp) -> int:
    record = records.reserve()
    if record is not None:
        records.submit(record)
        record.used = u64(packet.length)  # refused
    return XDP_PASS


@xdp
def call_while_a_lock_is_held(packet: Xdp) -> int:
    value = guarded.lookup(0)
    if value is not None:
        with value.lock:
            value.count = helpers.ktime_get_ns()  # refused
    return XDP_PASS


@xdp
def header_used_after_the_packet_moved(packet: Xdp) -> int:
    header = packet.read(Ethernet, 0)
    if header is not None and helpers.xdp_adjust_head(packet, 4) == 0:
        header.source[0] = 1  # refused
    return XDP_PASS


@xdp
def loop_that_may_never_end(packet: Xdp) -> int:
    seen = u64(packet.length)
    while seen != 1:  # refused
        seen = seen // 2 if seen & 1 == 0 else 3 * seen + 1
    return XDP_PASS


@xdp
def more_bytes_than_the_buffer_has(packet: Xdp) -> int:
    buffer = zeros(u8, 16)
    if helpers.xdp_load_bytes(packet, 0, buffer, 64) == 0:  # refused
        return XDP_DROP if buffer[0] else XDP_PASS
    return XDP_PASS


REASONS = {
    index_without_a_limit: "this index or length has no upper limit: limit it first",
    index_on_the_stack_without_a_limit: "this index or length has no upper limit: limit it first",
    record_that_is_never_submitted: "what is reserved here is neither submitted nor discarded on every path",
    record_used_after_it_is_submitted: "a number is used as a reference",
    call_while_a_lock_is_held: "nothing may be called while a lock is held",
    header_used_after_the_packet_moved: "a number is used as a reference",
    loop_that_may_never_end: "too complex",
    more_bytes_than_the_buffer_has: "outside the stack: 64 bytes",
}


@pytest.mark.parametrize("program", REASONS, ids=lambda program: program.name)
def test_the_reason_and_the_line(program: Program) -> None:
    with pytest.raises(VerifierError) as refused, penstock.load(program):
        pass
    error = refused.value
    assert error.reason.startswith(REASONS[program])
    lines, first = inspect.getsourcelines(program.function)
    marked = [first + offset for offset, line in enumerate(lines) if line.rstrip().endswith("# refused")]
    assert (error.file, [error.line]) == (__file__, marked)
    assert linecache.getline(__file__, error.line).strip() in str(error)
