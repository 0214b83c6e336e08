"""The ring buffer's reader: in bulk, over the end of the ring, past what is discarded, up to what is busy."""

import asyncio
import select
import threading
import time

import numpy as np
import pytest

from penstock.compiler.spec import ProgramSpec
from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.features import FETCHING_ATOMICS, LOOPS, MAPS
from penstock.lang import Array, Global, RingBuf, Struct, array, u8, u16, u32, u64
from penstock.lang.maps import MapKind
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import (
    DW,
    JEQ,
    JNE,
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    B,
    H,
    MapAddress,
    W,
    add,
    atomic_add,
    call,
    exit_,
    instruction,
    jump_if,
    modulo,
    mov,
    mov_reg,
    program,
    store,
)

pytestmark = pytest.mark.needs(MAPS[MapKind.RINGBUF], FETCHING_ATOMICS)

KTIME, RESERVE, SUBMIT, DISCARD = 5, 131, 132, 133
NO_WAKEUP = 1
PACKET = bytes(64)


class Odd(Struct, packed=True):
    number: u32
    tail: Array[u8] = array(9)


class Large(Struct):
    number: u64
    rest: Array[u64] = array(13)


COUNTER = Global(u64, name="counter")


def producer(
    ring: RingBuf, *, width: int = W, flags: int = 0, discard_every: int = 0, turns: int = 0
) -> ProgramSpec:
    """Make a program that writes the next number into a record, or counts it as lost.

    Every `discard_every`th is discarded; `turns` keep the program between reservation and submission.
    """
    waiting = (
        mov(R8, 0) + call(KTIME) + add(R8, 1) + instruction(0xA5, R8, offset=-3, immediate=turns)
        if turns
        else b""
    )
    finish = mov_reg(R1, R7) + mov(R2, flags)
    submit = finish + call(SUBMIT) + mov(R0, 1) + exit_()
    if discard_every:
        submit = (
            modulo(R6, discard_every)
            + jump_if(JEQ, R6, 0, len(submit) // 8)
            + submit
            + finish
            + call(DISCARD)
            + mov(R0, 2)
            + exit_()
        )
    full = (
        MapAddress(R1, ring.losses, value=True),
        mov(R2, 1),
        atomic_add(DW, R1, 0, R2),
        mov(R0, 0),
        exit_(),
    )
    return program(
        MapAddress(R1, COUNTER, value=True),
        mov(R6, 1),
        instruction(0xDB, R1, R6, immediate=1),  # r6 = fetch_add(counter, 1)
        MapAddress(R1, ring),
        mov(R2, ring.record_type.size),
        mov(R3, 0),
        call(RESERVE),
        jump_if(JNE, R0, 0, 6),
        *full,
        mov_reg(R7, R0),
        store(width, R7, 0, R6),
        waiting,
        submit,
        kind=ProgramKind.SCHED_CLS,  # a repeated test run in XDP waits for an RCU grace period, each time
    )


def test_an_empty_ring():
    ring = RingBuf(Large, 4096)
    with load(producer(ring)) as loaded:
        reader = loaded[ring]
        records = reader.read()
        assert (len(records), records.dtype) == (0, Large.__layout__.dtype)
        assert not reader.wait(0)
        assert reader.lost == 0


@pytest.mark.parametrize(
    ("record", "width"), [(u8, B), (u16, H), (u32, W), (u64, DW), (Odd, W), (Large, DW)], ids=str
)
def test_records_of_any_size_over_the_end_of_the_ring(record, width):
    """Fill and empty the ring often, by amounts that never divide it."""
    ring = RingBuf(record, 4096)
    spec = producer(ring, width=width)
    step = 8 + -(-ring.record_type.size // 8) * 8
    room = 4096 // step
    with load(spec) as loaded:
        expected = 0
        for turn in range(60):
            count = 1 + (turn * 7 + 3) % (room - 1)
            loaded[spec].test_run(PACKET, repeat=count)
            records = loaded[ring].read()
            numbers = records["number"] if records.dtype.names else records
            wanted = np.arange(expected, expected + count).astype(numbers.dtype)
            assert numbers.tolist() == wanted.tolist()
            expected += count
        assert expected * step > 10 * 4096
        assert loaded[ring].lost == 0


def test_records_are_copies():
    ring = RingBuf(u64, 4096)
    spec = producer(ring, width=DW)
    with load(spec) as loaded:
        loaded[spec].test_run(PACKET, repeat=100)
        first = loaded[ring].read()
        for _ in range(10):
            loaded[spec].test_run(PACKET, repeat=200)
            loaded[ring].read()
        assert first.tolist() == list(range(100))
    assert first.sum() == 4950


def test_a_full_ring_counts_what_it_loses():
    ring = RingBuf(u64, 4096)
    spec = producer(ring, width=DW)
    with load(spec) as loaded:
        loaded[spec].test_run(PACKET, repeat=1000)
        got = len(loaded[ring].read())
        assert 0 < got <= 256
        assert got + loaded[ring].lost == 1000
        loaded[spec].test_run(PACKET, repeat=100)
        assert loaded[ring].read()[0] == 1000
        assert got + loaded[ring].lost == 1000


def test_discarded_records_are_left_out():
    ring = RingBuf(u64, 4096)
    spec = producer(ring, width=DW, discard_every=3)
    with load(spec) as loaded:
        for _ in range(20):
            loaded[COUNTER].value = 0
            loaded[spec].test_run(PACKET, repeat=100)
            assert loaded[ring].read().tolist() == [n for n in range(100) if n % 3]


def test_a_limit():
    ring = RingBuf(u64, 4096)
    spec = producer(ring, width=DW)
    with load(spec) as loaded:
        loaded[spec].test_run(PACKET, repeat=10)
        assert loaded[ring].read(3).tolist() == [0, 1, 2]
        assert loaded[ring].read(0).tolist() == []
        assert loaded[ring].read(100).tolist() == [3, 4, 5, 6, 7, 8, 9]


@pytest.mark.needs(LOOPS)
def test_a_busy_record_ends_the_run():
    """While a program is between reservation and submission, later records wait for its record."""
    ring = RingBuf(u64, 4096)
    slow, fast = producer(ring, width=DW, turns=60_000), producer(ring, width=DW)
    seen = 0
    with load(slow, fast) as loaded:
        reader = loaded[ring]
        for _ in range(200):
            loaded[COUNTER].value = 0
            thread = threading.Thread(target=loaded[slow].test_run, args=(PACKET,))
            thread.start()
            while loaded[COUNTER].value == 0:  # the slow program has begun
                pass
            time.sleep(1e-5)
            loaded[fast].test_run(PACKET)
            early, ended = reader.read(), not thread.is_alive()
            thread.join()
            late = reader.read()
            assert [*early, *late] == [0, 1]
            seen += len(early) == 0 and not ended
            if seen >= 3:
                return
    pytest.fail("the slow program was never seen between reservation and submission")


def test_waiting():
    ring = RingBuf(u64, 4096)
    spec, quiet = producer(ring, width=DW), producer(ring, width=DW, flags=NO_WAKEUP)
    with load(spec, quiet) as loaded:
        start = time.monotonic()
        assert not loaded[ring].wait(0.05)
        assert time.monotonic() - start >= 0.045
        timer = threading.Timer(0.1, loaded[spec].test_run, (PACKET,))
        timer.start()
        assert loaded[ring].wait(10)
        timer.join()
        assert len(loaded[ring].read()) == 1
        loaded[quiet].test_run(PACKET)
        assert loaded[ring].wait(0)  # it is there, though nobody was woken for it


def test_select_and_asyncio_can_wait_for_it():
    ring = RingBuf(u64, 4096)
    spec = producer(ring, width=DW)

    async def read_one(reader):
        ready = asyncio.Event()
        asyncio.get_running_loop().add_reader(reader, ready.set)
        threading.Timer(0.05, loaded[spec].test_run, (PACKET,)).start()
        await asyncio.wait_for(ready.wait(), 10)
        asyncio.get_running_loop().remove_reader(reader)
        return reader.read()

    with load(spec) as loaded:
        assert asyncio.run(read_one(loaded[ring])).tolist() == [0]
        loaded[spec].test_run(PACKET)
        assert select.select([loaded[ring]], [], [], 10)[0] == [loaded[ring]]


def test_all_records_arrive_in_order_while_they_are_produced():
    ring = RingBuf(Large, 1 << 20)
    spec = producer(ring, width=DW, flags=NO_WAKEUP)
    total = 400_000
    with load(spec) as loaded:
        thread = threading.Thread(
            target=lambda: [loaded[spec].test_run(PACKET, repeat=1000) for _ in range(total // 1000)]
        )
        thread.start()
        got, last, spent = 0, -1, 0
        while thread.is_alive() or loaded[ring].wait(0):
            time.sleep(0.001)
            start = time.thread_time_ns()
            records = loaded[ring].read()
            spent += time.thread_time_ns() - start
            if len(records):
                assert records["number"][0] > last
                assert (np.diff(records["number"].astype(np.int64)) > 0).all()
                last, got = int(records["number"][-1]), got + len(records)
        thread.join()
        assert got + loaded[ring].lost == total
        assert got > 0
        assert spent / got < 1000, "reading a record of 112 bytes takes more than 1 µs"


def test_a_closed_ring_says_so():
    ring = RingBuf(u64, 4096, name="gone")
    spec = producer(ring, width=DW)
    with load(spec) as loaded:
        reader = loaded[ring]
        loaded[spec].test_run(PACKET)
    reader.close()
    with pytest.raises(KernelError, match=r"map gone .* is closed"):
        reader.read()
    with pytest.raises(KernelError, match="is closed"):
        reader.wait(0)
