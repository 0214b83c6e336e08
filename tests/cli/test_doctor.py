from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from penstock.cli.doctor import QUEUE, RTT, uses
from penstock.cli.main import main
from penstock.compiler import compile_program
from penstock.compiler.spec import ProgramSpec
from penstock.kernel import features
from penstock.kernel.features import FEATURES, Feature
from penstock.lang import Tc, Xdp, be32, tc, xdp
from penstock.lang.maps import MapKind
from penstock.queue.egress import Egress
from penstock.queue.forwarding import Router
from penstock.queue.frames import Frames
from penstock.queue.gate import Gate
from penstock.queue.packets import Packets
from penstock.queue.scheduler import Scheduler
from penstock.queue.vlans import Vlan, Vlans
from penstock.rtt.options import RttOptions
from penstock.rtt.programs import rtt_programs
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.hpfq import Hpfq
from penstock.schedulers.netem import Netem

PENSTOCK = str(Path(sys.executable).with_name("penstock"))


def examine(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main, ["doctor", "--json", *arguments])
    return result.exit_code, json.loads(result.stdout)


def test_this_machine_is_well() -> None:
    status, found = examine()
    assert status == 0
    assert found["uses"][RTT] == found["uses"][QUEUE] == {"ready": True, "missing": []}
    assert {feature["name"] for feature in found["features"]} == {feature.name for feature in FEATURES}
    assert all(feature["supported"] in (True, False) for feature in found["features"])
    assert all(found["capabilities"].values())


def test_for_people() -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert f"  yes {RTT}\n" in result.stdout
    assert "  yes ring buffers                Linux 5.8   events\n" in result.stdout
    assert "\x1b" not in result.stdout, "no color where there is no terminal"


def test_a_missing_feature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    supported = Feature.supported
    monkeypatch.setattr(Feature, "supported", lambda self: supported(self) and self is not features.XDP_LINKS)
    status, found = examine()
    assert status == 0, "the rest can be used"
    assert found["uses"][RTT]["ready"]
    assert found["uses"][f"{RTT} --ingress xdp"] == {"ready": False, "missing": ["XDP links (Linux 5.9)"]}


def test_either_hook_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {features.TCX}
    monkeypatch.setattr(Feature, "supported", lambda self: self not in gone)
    assert examine()[1]["uses"][RTT]["ready"]
    gone.add(features.CLSACT)
    status, found = examine()
    assert status == 1
    assert found["uses"][RTT]["missing"] == ["TCX (Linux 6.6) or clsact (Linux 4.5)"]


def test_without_rights() -> None:
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", PENSTOCK, "doctor"]
    done = subprocess.run(powerless, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"  no  {RTT}: lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n" in done.stdout
    assert "  ?   ring buffers" in done.stdout, "what could not be tried is not said to be missing"


@pytest.mark.parametrize(
    ("use", "options"),
    [
        (RTT, RttOptions()),
        (f"{RTT} --ingress xdp", RttOptions()),
        (f"{RTT} --aggregate", RttOptions(aggregate=True)),
        (f"{RTT} --no-local", RttOptions(local=False)),
    ],
)
def test_the_programs_need_no_more_than_that(use: str, options: RttOptions) -> None:
    programs = rtt_programs(options)
    hooks = programs.ethernet
    arriving = hooks.ingress_xdp if use.endswith("xdp") else hooks.ingress
    specs = [compile_program(program) for program in (arriving, hooks.egress, programs.sweep)]
    _suffice(use, specs)


@pytest.mark.parametrize("scheduler", [Hpfq, FqCodel, Netem])
def test_queues_need_no_more_than_that(scheduler: type[Scheduler]) -> None:
    packets = Packets(64, 64)
    frames = Frames(packets, 1536)
    egress = Egress(1, packets, frames, scheduler(packets))
    tagged = Vlans({3: Vlan(port=1, outer=be32(0x8100_0005), inner=be32(0))})
    router = Router(Gate(2, frames), [bytes(6)], vlans=tagged)

    @xdp
    def forward(packet: Xdp) -> int:
        return router.forward(packet)

    @xdp
    def arrive(packet: Xdp) -> int:
        return egress.arrive(packet)

    @tc
    def drain(packet: Tc) -> int:
        egress.drain(packet)
        return 0

    _suffice(QUEUE, [compile_program(program) for program in (forward, arrive, drain)])


def _suffice(use: str, specs: list[ProgramSpec]) -> None:
    """See to it that a use names all that these programs need, and the newest of it by its version."""
    known = [feature for group in uses()[use][1] for feature in group]
    kinds = {spec.kind for program in specs for spec in program.maps}
    assert {features.MAPS[kind] for kind in kinds - {MapKind.ARRAY}} <= set(known)
    newest = max(since for program in specs for _, since in program.helpers)
    assert newest <= max(feature.since for feature in known)
