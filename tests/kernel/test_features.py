"""Probes: what they find on this kernel, and what is made of it."""

import errno
import importlib

import pytest

from penstock.errors import KernelError
from penstock.kernel import features, load
from penstock.kernel.features import FEATURES, Feature
from penstock.kernel.syscall import running_kernel
from penstock.lang import RingBuf, u64
from tests.kernel.objects import Objects, wait_until_gone


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_kernel_that_is_new_enough_has_it(feature):
    if running_kernel() < feature.since:
        pytest.skip(f"Linux {running_kernel()} may lack {feature}")
    assert feature.supported()


def test_probes_leave_nothing():
    before = Objects.now()
    for feature in FEATURES:
        feature.probe()
    wait_until_gone(Objects.now() - before)


def failing(error: int) -> Feature:
    def probe() -> None:
        raise OSError(error, "refused")

    return Feature("wings", "flying", (99, 1), probe)


def test_each_is_tried_once():
    calls: list[None] = []
    feature = Feature("legs", "walking", (1, 0), lambda: calls.append(None))
    assert feature.supported()
    assert feature.supported()
    assert len(calls) == 1
    assert str(feature) == "legs (Linux 1.0)"


def test_refused_is_missing():
    assert not failing(errno.EINVAL).supported()


def test_not_permitted_is_not_missing():
    with pytest.raises(KernelError, match=r"cannot find out about wings \(Linux 99.1\): not permitted"):
        failing(errno.EPERM).supported()


def test_helpers_are_told_apart():
    features._helper(1)()
    with pytest.raises(OSError, match="nvalid argument"):
        features._helper(9999)()


def test_an_error_names_the_feature_that_is_missing(monkeypatch):
    """As on a kernel before 5.8: it knows nothing of ring buffers."""

    def refuse(*_: object) -> None:
        raise KernelError("cannot create map events") from OSError(errno.EINVAL, "invalid argument")

    missing = Feature("ring buffers", "events", (5, 8), failing(errno.EINVAL).probe)
    spec = RingBuf(u64, 4096)
    monkeypatch.setitem(features.MAPS, spec.kind, missing)
    monkeypatch.setattr(importlib.import_module("penstock.kernel.load"), "create_map", refuse)
    with load() as loaded, pytest.raises(KernelError) as refused:
        loaded.create(spec)
    assert str(refused.value) == "cannot create map events: this kernel has no ring buffers (Linux 5.8)"


def test_an_error_that_has_another_cause_stays_as_it_is():
    error = KernelError("cannot fly")
    with pytest.raises(KernelError) as refused, features.using(failing(errno.EINVAL)):
        raise error
    assert refused.value is error
