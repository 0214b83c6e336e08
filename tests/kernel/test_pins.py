"""Pins: names that outlive their process, in a BPF file system of the tests' own."""

import sys
from pathlib import Path

import pytest

from penstock.errors import KernelError
from penstock.kernel.features import TCX, XDP_LINKS
from penstock.lang import HashMap, u32, u64

# Each step is a process of its own, in one mount and network namespace that has /sys/fs/bpf for itself.
PRELUDE = """
import sys
from pathlib import Path
from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.link import open_link
from penstock.kernel.program import open_program
from penstock.lang import Global, HashMap, RingBuf, u32, u64
from penstock.lang.program import ProgramKind
from tests.kernel.assembler import R0, R1, MapAddress, exit_, mov, program, returning
root = Path("/sys/fs/bpf")
"""


@pytest.fixture
def step(lab):
    """Return a function that runs Python code in the namespaces of one host."""
    near, _ = lab.link(lab.host("near"), lab.host("far"))

    def run(code: str) -> str:
        return near.host.run([sys.executable, "-c", PRELUDE + code, near.name]).strip()

    return run


def test_a_map(step):
    step("""
with load() as loaded:
    table = loaded.create(HashMap(u32, u64, 10, name="table"))
    table[1] = 42
    table.pin(root / "table")
""")
    assert (
        step("""
table = HashMap(u32, u64, 10)
with load(maps={table: root / "table"}) as loaded:
    print(dict(loaded[table]))
""")
        == "{1: 42}"
    )
    assert (
        step("""
try:
    load(maps={HashMap(u32, u32, 10): root / "table"})
except KernelError as error:
    print(error)
""")
        == "cannot use the pin /sys/fs/bpf/table as map without name (HashMap, 10): it has another shape"
    )
    step('(root / "table").unlink()')
    assert "open the pin /sys/fs/bpf/table: no such file or directory" in step("""
try:
    load(maps={HashMap(u32, u64, 10): "/sys/fs/bpf/table"})
except KernelError as error:
    print(error)
""")


def test_a_ring_buffer_and_what_it_lost(step):
    step("""
with load() as loaded:
    ring = RingBuf(u64, 4096, name="ring")
    loaded.create(ring).pin(root / "ring")
    loaded[ring.losses].value = 7
    loaded[ring.losses].pin(root / "lost")
""")
    assert (
        step("""
ring = RingBuf(u64, 4096)
with load(maps={ring: root / "ring", ring.losses: root / "lost"}) as loaded:
    print(loaded[ring].lost, len(loaded[ring].read()))
""")
        == "7 0"
    )


def test_a_program(step):
    step("""
spec = returning(3, name="three")
with load(spec) as loaded:
    loaded[spec].pin(str(root / "program"))
""")
    assert (
        step("""
with open_program(root / "program") as program:
    print(program.name, program.kind.name, program.test_run(bytes(64)).retval)
""")
        == "three XDP 3"
    )
    step("""
with load() as loaded:
    loaded.create(HashMap(u32, u64, 10)).pin(root / "map")
""")


@pytest.mark.needs(XDP_LINKS, TCX)
def test_links(step):
    step("""
frames, packets = returning(2, name="frames"), returning(-1, ProgramKind.SCHED_CLS, "packets")
with load(frames, packets) as loaded:
    loaded.attach_xdp(frames, sys.argv[1]).pin(root / "xdp")
    loaded.attach_tc(packets, sys.argv[1], "egress").pin(root / "tcx")
""")
    assert step("""
for name in ("xdp", "tcx"):
    with open_link(root / name) as link:
        print(link.program, link.interface.name == sys.argv[1], link.how, link.alive())
    (root / name).unlink()
""").splitlines() == ["frames True XDP True", "packets True TCX egress True"]
    assert "prog/xdp" not in step(
        'import subprocess; print(subprocess.check_output(["ip", "link"], text=True))'
    )


def test_a_name_that_is_taken(step):
    assert (
        step("""
with load() as loaded:
    table = loaded.create(HashMap(u32, u64, 10, name="table"))
    table.pin(root / "taken")
    try:
        table.pin(root / "taken")
    except KernelError as error:
        print(error)
""")
        == "cannot pin map table (HashMap, 10) at /sys/fs/bpf/taken: file exists"
    )


def test_something_else_under_the_name(step):
    assert step("""
with load() as loaded:
    loaded.create(HashMap(u32, u64, 10)).pin(root / "map")
for open_it in (open_link, open_program):
    try:
        open_it(root / "map")
    except KernelError as error:
        print(error)
""").splitlines() == [
        "cannot open the pin /sys/fs/bpf/map: no link of XDP or TCX",
        "cannot open the pin /sys/fs/bpf/map: no program of a kind known here",
    ]


def test_no_bpf_file_system(loaded, tmp_path: Path):
    table = loaded.create(HashMap(u32, u64, 10, name="table"))
    with pytest.raises(KernelError) as refused:
        table.pin(tmp_path / "table")
    assert str(refused.value) == (
        f"cannot pin map table (HashMap, 10) at {tmp_path}/table: "
        "no BPF file system there: mount -t bpf bpf /sys/fs/bpf"
    )
    with pytest.raises(KernelError, match=r"there is no directory .*/deeper"):
        table.pin(tmp_path / "deeper" / "table")
