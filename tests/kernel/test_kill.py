"""A process that is killed leaves nothing in the kernel."""

import subprocess
import sys

import pytest

from penstock.kernel.features import MAPS, TCX, XDP_LINKS
from penstock.lang.maps import MapKind
from tests.kernel.network import xdp_programs
from tests.kernel.objects import Objects, wait_until_gone

HOLDING = """
import sys, time
from penstock.kernel import load
from penstock.lang import ArrayMap, ArrayOfMaps, Global, HashMap, LruHash, PerCpuHash, RingBuf, u32, u64
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import R0, R1, MapAddress, exit_, mov, program
specs = [HashMap(u32, u64, 10), LruHash(u32, u64, 100), PerCpuHash(u32, u64, 10), ArrayMap(u64, 10)]
specs += [Global(u64), RingBuf(u64, 4096), ArrayOfMaps(ArrayMap(u64, 4), 4)]
def using(kind):
    return program(*[MapAddress(R1, spec) for spec in specs], mov(R0, 0), exit_(), kind=kind)
frames, packets = using(ProgramKind.XDP), using(ProgramKind.SCHED_CLS)
loaded = load(frames, packets)
loaded[specs[3]].memory[0] = 1
loaded[specs[4]].value = 1
loaded[specs[6]][0] = loaded.create(specs[6].inner)
loaded.attach_xdp(frames, sys.argv[1])
loaded.attach_tc(packets, sys.argv[1], "ingress", via="tcx")
loaded.attach_tc(packets, sys.argv[1], "egress", via="tcx")
print("attached", flush=True)
time.sleep(60)
"""


@pytest.mark.needs(TCX, XDP_LINKS, MAPS[MapKind.RINGBUF])
def test_sigkill_leaves_nothing(wire):
    near, _ = wire
    before = Objects.now()
    process = subprocess.Popen([sys.executable, "-c", HOLDING, near.name], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        held = Objects.now() - before
        assert len(held.programs) >= 2
        assert len(held.maps) >= 9
        assert len(held.links) >= 3
    finally:
        process.kill()
        process.communicate()
    wait_until_gone(held)
    assert not xdp_programs(near)
