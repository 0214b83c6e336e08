"""The table of helpers, against the kernel's own."""

import contextlib
import ctypes
import inspect
import os
import re
import struct

import pytest

from penstock.compiler.build import compile_unit
from penstock.compiler.frontend import lower
from penstock.kernel import load
from penstock.kernel.attributes import ProgLoad
from penstock.kernel.syscall import Command, bpf
from penstock.lang import Struct, Tc, Xdp, helpers, i64, sizeof, tc, u32, u64, xdp, zeros
from penstock.lang.helpers import AF_INET, FibLookup, NextHop
from penstock.lang.program import ProgramKind

HELPERS = {name: stub for name, stub in vars(helpers).items() if hasattr(stub, "__helper__")}


def verifier_log(kind: ProgramKind, number: int) -> str:
    """Return what the verifier says to a program that only calls a helper, without arguments."""
    code = struct.pack("=2Bhi", 0x85, 0, 0, number) + struct.pack("=2Bhi", 0x95, 0, 0, 0)
    held, license_name = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    attributes = ProgLoad(
        prog_type=kind,
        insn_cnt=2,
        insns=ctypes.addressof(held),
        license=ctypes.addressof(license_name),
        log_level=2,
        log_size=len(log),
        log_buf=ctypes.addressof(log),
    )
    with contextlib.suppress(OSError):
        os.close(bpf(Command.PROG_LOAD, attributes))
    return log.value.decode()


@pytest.mark.parametrize("name", HELPERS)
def test_number_is_the_kernels(name):
    """The verifier writes `call bpf_redirect#23`."""
    number = HELPERS[name].__helper__.number
    kernels_name = {"pull": "skb_pull_data"}.get(name, name)
    log = verifier_log(ProgramKind.SCHED_CLS, number)
    assert f"call bpf_{kernels_name}#{number}" in log


@pytest.mark.parametrize("name", HELPERS)
def test_kind_of_packet_is_the_one_that_the_kernel_allows(name):
    """One for Tc is unknown to XDP, and the other way round; one for Packet is known to both."""
    helper = HELPERS[name]
    hints = inspect.signature(helper, eval_str=True).parameters.values()
    packets = [hint.annotation for hint in hints if hint.annotation in (Xdp, Tc, helpers.Packet)]
    allowed = {
        kind
        for kind, known in ((ProgramKind.XDP, Xdp), (ProgramKind.SCHED_CLS, Tc))
        if not re.search(r"unknown func|cannot use helper", verifier_log(kind, helper.__helper__.number))
    }
    wanted = {Xdp: {ProgramKind.XDP}, Tc: {ProgramKind.SCHED_CLS}}
    if packets and packets[0] in wanted:
        assert allowed == wanted[packets[0]]
    elif packets:
        assert allowed == {ProgramKind.XDP, ProgramKind.SCHED_CLS}
    else:
        assert allowed


def test_since_is_a_kernel_version():
    for helper in HELPERS.values():
        major, minor = helper.__helper__.since
        assert (4, 1) <= (major, minor) < (7, 0)


def test_calls_outside_programs_are_refused():
    with pytest.raises(TypeError, match="only programs can do this"):
        helpers.ktime_get_ns()


def test_structs_have_the_kernels_sizes():
    """`struct bpf_fib_lookup` and `struct bpf_redir_neigh`."""
    assert (FibLookup.__layout__.size, NextHop.__layout__.size) == (64, 20)
    assert FibLookup.__layout__.fields["destination_mac"].offset == 58


def run(program, packet: bytes = bytes(range(64))):
    spec = compile_unit(lower(program))
    with load(spec) as loaded:
        return loaded[spec].test_run(packet)


def test_fib_lookup_answers():
    """That there is no route for 0.0.0.0 on an interface, not that the question is malformed."""

    @xdp
    def program(packet: Xdp) -> int:
        route = FibLookup(family=AF_INET, ifindex=1)
        return helpers.fib_lookup(packet, route, sizeof(FibLookup), 0) + 100

    assert run(program).retval >= 100


class Bytes(Struct):
    first: u64
    second: u64


def test_bytes_of_frames():
    @xdp
    def program(packet: Xdp) -> int:
        taken = Bytes()
        if helpers.xdp_load_bytes(packet, 3, taken, sizeof(Bytes)) != 0:
            return 1
        if helpers.xdp_store_bytes(packet, 40, taken, sizeof(Bytes)) != 0:
            return 2
        return u32(helpers.xdp_get_buff_len(packet)) + 100

    result = run(program)
    assert (result.retval, result.data_out[40:56]) == (164, bytes(range(3, 19)))


def test_bytes_of_packets():
    @tc
    def program(packet: Tc) -> int:
        taken = zeros(u64, 2)
        if helpers.skb_load_bytes(packet, 3, taken, 16) != 0:
            return 1
        if helpers.skb_store_bytes(packet, 40, taken, 16) != 0:
            return 2
        if helpers.skb_change_tail(packet, 60) != 0:
            return 3
        return 4

    result = run(program)
    assert (result.retval, len(result.data_out)) == (4, 60)
    assert result.data_out[40:56] == bytes(range(3, 19))


def test_checksum_difference():
    """RFC 1071: of 16 zeros to 16 known bytes it is their one's complement sum."""

    @xdp
    def program(packet: Xdp) -> int:
        part = packet.read(Bytes, 0)
        if part is None:
            return 0
        after = Bytes(first=part.first, second=part.second)
        before = Bytes()
        total: i64 = helpers.csum_diff(before, 16, after, 16, 0)
        folded = (u64(total) & 0xFFFF) + (u64(total) >> 16 & 0xFFFF)
        return u32((folded & 0xFFFF) + (folded >> 16))

    words = struct.unpack("=8H", bytes(range(16)))
    total = sum(words)
    assert run(program).retval == (total & 0xFFFF) + (total >> 16)
