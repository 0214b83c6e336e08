"""Every example does what it says, on real traffic."""

import importlib.util
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from penstock.kernel import Loaded
from penstock.lab import bulk, exchange, ping
from tests.conftest import Middlebox
from tests.experiments.browser import check_report

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once an example has attached a program."""
    event = threading.Event()

    def telling(attach: Callable[..., Any]) -> Callable[..., Any]:
        def attach_and_tell(*args: Any, **options: Any) -> Any:
            link = attach(*args, **options)
            event.set()
            return link

        return attach_and_tell

    monkeypatch.setattr(Loaded, "attach_xdp", telling(Loaded.attach_xdp))
    monkeypatch.setattr(Loaded, "attach_tc", telling(Loaded.attach_tc))
    return event


@contextmanager
def meanwhile(attached: threading.Event, traffic: Callable[[], object]) -> Iterator[None]:
    """Run `traffic` in a thread, from when the example has attached its programs."""

    def later() -> None:
        assert attached.wait(30)
        time.sleep(0.2)  # for an example that attaches two
        traffic()

    thread = threading.Thread(target=later)
    thread.start()
    yield
    thread.join()


def test_protocols_counts_pings(middlebox: Middlebox, attached: threading.Event) -> None:
    m = example("protocols")
    with meanwhile(attached, lambda: ping(middlebox.a, middlebox.b, count=5)), middlebox.m.enter():
        counted = m.main(middlebox.towards_a.name, seconds=3)
    assert counted[1] == 5


def test_talkers_finds_the_sender(middlebox: Middlebox, attached: threading.Event) -> None:
    m = example("talkers")

    def load() -> None:
        with bulk(middlebox.a, middlebox.b, size=1_000_000) as transfer:
            transfer.wait()

    with meanwhile(attached, load), middlebox.m.enter():
        (sender, volume), *_ = m.main(middlebox.towards_a.name, seconds=3)
    assert sender == middlebox.a.address(4)
    assert 1_000_000 <= volume < 1_200_000


def test_block_drops_and_counts(middlebox: Middlebox) -> None:
    network = f"{middlebox.a.address(4)}/32"
    command = [sys.executable, str(EXAMPLES / "block.py"), middlebox.towards_a.name, network]
    process = middlebox.m.popen(command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 10
    while ping(middlebox.a, middlebox.b, count=1).rtts_ms and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ping(middlebox.a, middlebox.b, count=2).rtts_ms == ()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert f"'{network}': " in output
    assert len(ping(middlebox.a, middlebox.b, count=1).rtts_ms) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_connections_prints_each_syn(middlebox: Middlebox, attached: threading.Event, version: int) -> None:
    m = example("connections")

    def load() -> None:
        with exchange(middlebox.a, middlebox.b, flows=3, seconds=0.5, version=version) as transfer:
            transfer.wait()

    with meanwhile(attached, load), middlebox.m.enter():
        *lines, lost = m.main(middlebox.towards_a.name, seconds=3)
    assert lost == "0 lost"
    wanted = f"{middlebox.a.address(version)} -> {middlebox.b.address(version)} port "
    assert sum(line.startswith(wanted) for line in lines) == 3


def test_slow_hosts_measures(middlebox: Middlebox, attached: threading.Event) -> None:
    m = example("slow_hosts")
    with meanwhile(attached, lambda: ping(middlebox.a, middlebox.b, count=5)), middlebox.m.enter():
        medians = m.main(middlebox.towards_a.name, seconds=3)
    assert middlebox.b.address(4) in medians or middlebox.a.address(4) in medians
    assert all(0 < median < 100 for median in medians.values())


def test_demo_shows_what_a_scheduler_does(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as demo:
        output, _ = demo.communicate(timeout=90)
    assert demo.returncode == 0
    assert 20 <= time.monotonic() - start < 60
    assert not list(Path("/run/netns").glob(f"pst-{demo.pid}-*")), "nothing is left behind"
    *_, report = output.split("the report is ")
    rows = json.loads((tmp_path / report.strip()).with_suffix(".json").read_text())["results"]
    quiet, fifo, fq_codel = rows
    for kind in ("ping", "request"):
        before, full, after = (each[f"{kind}_median_ms"] for each in (quiet, fifo, fq_codel))
        assert full > 10 * after
        assert after < before + 5
    assert fq_codel["sent_mbps"] > 0.95 * fifo["sent_mbps"] > 0.95 * 19
    seconds = [line.split() for line in output.splitlines() if line[:3].strip().isdigit()]
    assert len(seconds) >= 18
    assert {"Fifo", "FqCodel"} == {scheduler for _, _, scheduler, *_ in seconds}
    assert re.search(r"^penstock: \d+ RTTs of \d+ packets in 2\d\.\d s", output, re.MULTILINE)
    check_report(tmp_path / report.strip(), plots=3)


def test_demo_without_root_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match=r"^penstock: the demo makes network namespaces .*: run it as root$"):
        runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")
