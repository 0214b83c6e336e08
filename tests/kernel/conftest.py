"""What the tests of the kernel's side share."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from penstock.kernel import Loaded, batch, load
from penstock.lab import Interface, Lab


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    """Yield an owner of maps that has no programs."""
    with load() as loaded:
        yield loaded


@pytest.fixture(params=["batch", "one by one"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with batch operations, and as on a kernel that has none."""
    if request.param == "one by one":

        def refuse(*_: object) -> int:
            raise OSError(errno.EINVAL, "invalid argument")

        monkeypatch.setattr(batch, "bpf", refuse)


@pytest.fixture
def wire(lab: Lab) -> Iterator[tuple[Interface, Interface]]:
    """Yield both ends of a veth; the test runs in the network namespace of the first."""
    near, far = lab.link(lab.host("near"), lab.host("far"))
    with near.host.enter():
        yield near, far
