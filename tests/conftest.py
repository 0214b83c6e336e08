"""Fixtures for all tests: a lab, the usual three hosts, and a look for what was left behind."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from pyroute2 import IPRoute

from penstock.lab import Host, Interface, Lab

hypothesis.settings.register_profile("penstock", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("penstock")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="expect of tests/golden what comes out now")
    parser.addoption("--fuzz-seed", default="penstock", help="seed of packets that are made at random")
    parser.addoption("--fuzz-packets", type=int, default=1_000_000, help="how many, for each program")


EXPERIMENTS = ("accuracy", "bufferbloat", "fairness", "overhead", "pacing", "transition")
ALONE = (
    *("bench", "cli/test_queue.py", "examples", "lab", "queue"),
    *(f"experiments/test_{name}.py" for name in EXPERIMENTS),
)
"""Tests of rates and times: while they run, no others do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(ALONE):
            item.add_marker("alone")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that `needs` features newer than this kernel; fail it if the kernel ought to have them."""
    kernel = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    for feature in [feature for mark in item.iter_markers("needs") for feature in mark.args]:
        if not feature.supported():
            if kernel >= feature.since:
                pytest.fail(f"this kernel should have {feature}, but does not")
            pytest.skip(f"needs {feature}")


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail if the session leaves a namespace of its own, or an interface in the machine's."""
    before = _interfaces()
    yield
    namespaces = [path.name for path in Path("/run/netns").glob(f"pst-{os.getpid()}-*")]
    left = namespaces + sorted(_interfaces() - before)
    assert not left, f"left behind: {', '.join(left)}"


def _interfaces() -> set[str]:
    with IPRoute() as netlink:
        names = {link.get("ifname") for link in netlink.get_links()}
    return {name for name in names if name.startswith("pst")}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@dataclass(frozen=True)
class Middlebox:
    """Hosts `a` and `b`, and between them the router `m` with an interface towards each."""

    lab: Lab
    a: Host
    m: Host
    b: Host
    towards_a: Interface
    towards_b: Interface


@pytest.fixture
def middlebox(lab: Lab) -> Middlebox:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    _, towards_a = lab.link(a, m)
    towards_b, _ = lab.link(m, b)
    return Middlebox(lab, a, m, b, towards_a, towards_b)
