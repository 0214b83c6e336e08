"""Programs: load, run on test packets, statistics."""

import logging
import time

import pytest

from penstock.errors import KernelError, VerifierError
from penstock.kernel import features, load, memlock
from penstock.kernel.features import KERNEL_TYPES, RUN_STATISTICS
from penstock.kernel.statistics import Statistics, run_statistics
from penstock.lang import Global, HashMap, u32, u64
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import (
    DW,
    R0,
    R1,
    R2,
    R3,
    R10,
    B,
    MapAddress,
    W,
    add,
    atomic_add,
    call,
    exit_,
    instruction,
    jump_if,
    mov,
    mov_reg,
    program,
    read,
    returning,
    store,
    store_imm,
)

XDP, TC = ProgramKind.XDP, ProgramKind.SCHED_CLS
PACKET = bytes(range(64))


@pytest.mark.parametrize("kind", [XDP, TC])
@pytest.mark.parametrize("value", [0, 2, -1])
def test_the_result_is_what_the_program_returns(kind, value):
    spec = returning(value, kind)
    with load(spec) as loaded:
        assert loaded[spec].test_run(PACKET).retval == value
        assert loaded[spec].test_runs([PACKET] * 3).tolist() == [value] * 3


def first_byte(kind: ProgramKind, change: int | None = None):
    """Make a program that returns the packet's first byte, and may set it."""
    data, end = (0, 4) if kind is XDP else (76, 80)
    return program(
        read(W, R2, R1, data),
        read(W, R3, R1, end),
        mov(R0, -2),
        mov_reg(R1, R2),
        add(R1, 1),
        instruction(0x2D, R1, R3, 1 if change is None else 2),  # if r1 > r3 goto exit
        read(B, R0, R2, 0),
        b"" if change is None else store_imm(B, R2, 0, change),
        exit_(),
        kind=kind,
    )


@pytest.mark.parametrize("kind", [XDP, TC])
def test_the_packet_is_what_was_given_and_comes_back_changed(kind):
    spec = first_byte(kind, change=9)
    with load(spec) as loaded:
        result = loaded[spec].test_run(b"\x07" + bytes(99))
        assert (result.retval, result.data_out) == (7, b"\x09" + bytes(99))
        assert result.duration >= 0


@pytest.mark.parametrize("kind", [XDP, TC])
def test_runs_of_many_packets(kind):
    spec = first_byte(kind)
    packets = [bytes([number % 256]) + bytes(13 + number % 200) for number in range(3000)]
    with load(spec) as loaded:
        assert loaded[spec].test_runs(packets).tolist() == [packet[0] for packet in packets]
        assert loaded[spec].test_runs([]).tolist() == []


def test_many_runs_are_cheap():
    spec = first_byte(TC)
    packets = [bytes(60)] * 10_000
    with load(spec) as loaded:
        start = time.process_time()
        loaded[spec].test_runs(packets)
        assert time.process_time() - start < len(packets) * 20e-6, "a run takes more than 20 µs"


@pytest.mark.parametrize("length", [0, 13])
def test_packets_without_an_ethernet_header_are_refused(length):
    spec = returning(0)
    with load(spec) as loaded:
        for run in (loaded[spec].test_run, lambda data: loaded[spec].test_runs([PACKET, data])):
            with pytest.raises(
                KernelError, match=rf"a packet of {length} bytes: the kernel takes 14 at least"
            ):
                run(bytes(length))


def test_a_packet_too_long_is_refused_by_the_kernel():
    spec = returning(0)
    with load(spec) as loaded, pytest.raises(KernelError, match="cannot run program example on 100000 bytes"):
        loaded[spec].test_run(bytes(100_000))


def test_repeated_runs_see_the_packet_as_the_last_one_left_it():
    spec = program(
        read(W, R2, R1, 76),
        read(W, R3, R1, 80),
        mov(R0, 0),
        mov_reg(R1, R2),
        add(R1, 1),
        instruction(0x2D, R1, R3, 3),
        read(B, R0, R2, 0),
        add(R0, 1),
        store(B, R2, 0, R0),
        exit_(),
        kind=TC,
    )
    with load(spec) as loaded:
        assert loaded[spec].test_run(bytes(64), repeat=100).data_out[0] == 100


def test_the_context_of_tc():
    spec = program(
        read(W, R0, R1, 8),  # mark
        read(W, R2, R1, 40),  # ifindex
        instruction(0x0F, R0, R2),
        mov(R2, 77),
        store(W, R1, 32, R2),  # priority
        exit_(),
        kind=TC,
    )
    with load(spec) as loaded:
        result = loaded[spec].test_run(PACKET, context={"mark": 1000, "ifindex": 1, "priority": 5})
        assert result.retval == 1001
        assert result.context == {"mark": 1000, "ifindex": 1, "priority": 77}


def test_the_context_of_xdp():
    spec = program(read(W, R0, R1, 12), exit_())  # ingress_ifindex
    with load(spec) as loaded:
        assert loaded[spec].test_run(PACKET, context={"ifindex": 1}).retval == 1
        with pytest.raises(KernelError, match="context's field 'mark': Xdp has none"):
            loaded[spec].test_run(PACKET, context={"mark": 1})


@pytest.mark.needs(RUN_STATISTICS)
def test_statistics_only_count_while_they_are_on():
    spec = returning(0, TC)
    with load(spec) as loaded:

        def counted() -> Statistics:
            before = loaded[spec].statistics()
            loaded[spec].test_run(PACKET, repeat=1000)
            return loaded[spec].statistics() - before

        with run_statistics():
            on = counted()
        assert on.run_count == 1000
        assert 0 < on.ns_per_run < 100_000
        assert on.recursion_misses == 0
        end = time.monotonic() + 10
        while counted().run_count:  # somebody else on this machine may have them on for a while
            assert time.monotonic() < end
            time.sleep(0.1)
    assert Statistics(0, 0, 0).ns_per_run == 0


def test_maps_are_shared_between_programs():
    table = HashMap(u32, u64, 4, name="shared")
    writing = program(
        store_imm(W, R10, -4, 5),
        store_imm(0x18, R10, -16, 42),
        MapAddress(R1, table),
        mov_reg(R2, R10),
        add(R2, -4),
        mov_reg(R3, R10),
        add(R3, -16),
        mov(4, 0),
        call(2),
        exit_(),
        name="writing",
    )
    reading = program(
        store_imm(W, R10, -4, 5),
        MapAddress(R1, table),
        mov_reg(R2, R10),
        add(R2, -4),
        call(1),
        jump_if(0x10, R0, 0, 1),
        read(W, R0, R0, 0),
        exit_(),
        name="reading",
    )
    with load(writing, reading) as loaded:
        assert loaded[reading].test_run(PACKET).retval == 0
        assert loaded[writing].test_run(PACKET).retval == 0
        assert loaded[reading].test_run(PACKET).retval == 42
        assert loaded[table][5] == 42
    with load(reading) as other:
        assert other[reading].test_run(PACKET).retval == 0


@pytest.mark.needs(KERNEL_TYPES)
def test_kernel_functions_are_found_by_name():
    spec = program(
        mov(R1, 0),
        instruction(0x85, R0, 2),
        mov(R0, 3),
        exit_(),
        kfuncs=("bpf_rcu_read_lock",),
        kfunc_calls=(1,),
    )
    with pytest.raises(VerifierError) as refused:  # the lock is never released
        load(spec)
    assert "bpf_rcu_read_lock" in refused.value.log


@pytest.mark.needs(KERNEL_TYPES)
def test_a_kernel_function_that_is_not_there():
    spec = program(instruction(0x85, R0, 2), exit_(), kfuncs=("bpf_no_such_function",), kfunc_calls=(0,))
    with pytest.raises(KernelError, match="program example: this kernel has no function bpf_no_such"):
        load(spec)


def test_types_that_the_kernel_refuses_are_left_out_with_a_word(caplog):
    spec = program(mov(R0, 1), exit_(), btf=b"\x9f\xeb\x63" + bytes(40))
    with caplog.at_level(logging.WARNING), load(spec) as loaded:
        assert loaded[spec].test_run(PACKET).retval == 1
    assert "program example is loaded without source lines: cannot load type information" in caplog.text


def test_types_that_callbacks_need_cannot_be_left_out():
    callback = instruction(0x18, R2, 4, immediate=2) + instruction(0)
    spec = program(callback, mov(R0, 0), exit_(), mov(R0, 0), exit_(), btf=b"\x9f\xeb\x63" + bytes(40))
    with pytest.raises(KernelError, match=r"cannot load type information \(BTF, Linux 4.18\): \w+"):
        load(spec)


def test_no_locked_memory_is_no_error(monkeypatch):
    """Without CAP_SYS_RESOURCE the limit cannot be raised, and need not be."""
    memlock.lift.cache_clear()

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(memlock.resource, "setrlimit", refuse)
    spec = returning(0)
    with load(spec) as loaded:
        assert loaded[spec].test_run(PACKET).retval == 0


def test_a_forgotten_program_is_closed_with_a_warning():
    spec = returning(0)
    forgotten = [load(spec)]
    with pytest.warns(ResourceWarning, match="program example was never closed"):
        forgotten.clear()


@pytest.mark.needs(features.SYSCALL)
def test_programs_that_python_runs():
    calls = Global(u64, name="calls")
    spec = program(
        MapAddress(R1, calls, value=True),
        mov(R2, 1),
        atomic_add(DW, R1, 0, R2),
        mov(R0, -3),
        exit_(),
        kind=ProgramKind.SYSCALL,
    )
    with load(spec) as loaded:
        assert [loaded[spec].run() for _ in range(5)] == [-3] * 5
        assert loaded[calls].value == 5
        with pytest.raises(KernelError, match="cannot run program example on a packet: use run"):
            loaded[spec].test_run(PACKET)


def test_programs_for_packets_want_one():
    spec = returning(0)
    with (
        load(spec) as loaded,
        pytest.raises(KernelError, match="program example without a packet: use test_run"),
    ):
        loaded[spec].run()
