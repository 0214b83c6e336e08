"""What a process without rights hears."""

import subprocess
import sys

import pytest

from penstock.kernel.capabilities import Capability, missing

# capset(2) by the C library: version 3, two words of 32 bits for each set.
DROP = """
import ctypes, struct, sys
def drop(*capabilities):
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    words = list(struct.unpack("=6I", data.raw))
    for capability in capabilities:
        words[capability // 32 * 3] &= ~(1 << capability % 32)
    assert libc.capset(header, struct.pack("=6I", *words)) == 0
from penstock.errors import KernelError
from penstock.kernel import features, load
from penstock.kernel.capabilities import Capability, missing
from penstock.kernel.statistics import run_statistics
from penstock.lang import HashMap, u32
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import returning
BPF, NET_ADMIN, SYS_ADMIN = Capability.BPF, Capability.NET_ADMIN, Capability.SYS_ADMIN
PERFMON = Capability.PERFMON
spec = returning(2)
def tell(function):
    try:
        function()
    except KernelError as error:
        print(error)
"""


def told(code: str) -> str:
    """Run Python code in a process that has dropped what it says; return what it printed."""
    ended = subprocess.run([sys.executable, "-c", DROP + code], check=True, stdout=subprocess.PIPE, text=True)
    return ended.stdout.strip()


def test_root_has_them_all():
    assert missing(tuple(Capability)) == []


@pytest.mark.parametrize(
    ("dropped", "lacking"),
    [
        ("BPF, SYS_ADMIN", "CAP_BPF"),
        ("BPF, SYS_ADMIN, NET_ADMIN", "CAP_BPF and CAP_NET_ADMIN"),
        ("NET_ADMIN, SYS_ADMIN", "CAP_NET_ADMIN"),
    ],
)
def test_loading_names_what_is_missing(dropped, lacking):
    message = told(f"drop({dropped}); tell(lambda: load(spec))")
    assert message == (
        f"cannot load program example: not permitted: this process lacks {lacking}; run it as root"
    )


def test_what_the_verifier_refuses_without_perfmon_names_that():
    message = told(
        "from tests.kernel.test_refusals import header_used_after_the_packet_moved as program\n"
        "import penstock\n"
        "drop(SYS_ADMIN, PERFMON); tell(lambda: penstock.load(program))"
    )
    name = "header_used_after_the_packet_moved"
    assert message.startswith(f"cannot load program {name}: this process lacks CAP_PERFMON; run it as root (")


def test_creating_a_map_names_what_is_missing():
    message = told("drop(BPF, SYS_ADMIN); tell(lambda: load().create(HashMap(u32, u32, 1, name='m')))")
    assert message == (
        "cannot create map m (HashMap, 1): not permitted: this process lacks CAP_BPF; run it as root"
    )


def test_attaching_by_clsact_names_what_is_missing(wire):
    near, _ = wire
    message = told(
        "spec = returning(0, ProgramKind.SCHED_CLS); loaded = load(spec); drop(NET_ADMIN, SYS_ADMIN); "
        f"tell(lambda: loaded.attach_tc(spec, {near.name!r}, 'ingress', via='clsact')); loaded.close()"
    )
    assert message == (
        f"cannot attach example to {near.name} by clsact ingress: not permitted: "
        "this process lacks CAP_NET_ADMIN; run it as root"
    )


def test_statistics_name_what_is_missing():
    message = told("drop(SYS_ADMIN); tell(lambda: run_statistics().__enter__())")
    assert message == (
        "cannot switch on run-time statistics (Linux 5.8): not permitted: "
        "this process lacks CAP_SYS_ADMIN; run it as root"
    )


def test_a_feature_that_cannot_be_tried_is_not_called_missing():
    message = told("drop(BPF, SYS_ADMIN, NET_ADMIN); tell(features.XDP.supported)")
    assert message.startswith("cannot find out about XDP programs (Linux 4.8): not permitted")


def test_bpf_and_net_admin_are_enough_to_run(wire):
    near, _ = wire
    message = told(
        "drop(SYS_ADMIN, PERFMON)\n"
        "packets = returning(-1, ProgramKind.SCHED_CLS)\n"
        "with load(spec, packets) as loaded:\n"
        f"    print(loaded.attach_xdp(spec, {near.name!r}).how)\n"
        f"    print(loaded.attach_tc(packets, {near.name!r}, 'ingress').alive())"
    )
    assert message.splitlines() == ["XDP native", "True"]
