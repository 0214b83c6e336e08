"""Sums over CPUs, and how many CPUs there are."""

from pathlib import Path

import numpy as np
import pytest

from penstock.kernel import cells
from penstock.kernel.cells import possible_cpus, sum_cpus
from penstock.lang import Array, SpinLock, Struct, array, be16, u8, u32


class Inner(Struct):
    small: u8
    slots: Array[Array[u32]] = array(2, 3)


class Outer(Struct):
    lock: SpinLock
    port: be16
    flag: bool
    inner: Array[Inner] = array(2)


def test_sums_are_by_field_and_wrap():
    values = np.zeros((5, 4), Outer.__layout__.dtype)
    values["port"] = 40_000
    values["flag"][:, 1] = True
    values["inner"]["small"] = 100
    values["inner"]["slots"] = np.arange(6).reshape(2, 3)
    total = sum_cpus(values)
    assert total.shape == (5,)
    assert total.dtype == values.dtype
    assert (total["port"] == 160_000 % 65_536).all()
    assert total["flag"].all()
    assert (total["inner"]["small"] == 400 % 256).all()
    assert total["inner"]["slots"][3, 1].tolist() == [[0, 4, 8], [12, 16, 20]]


def test_sums_of_numbers_over_any_axis():
    values = np.arange(12, dtype=np.uint32).reshape(3, 4)
    assert sum_cpus(values).tolist() == [6, 22, 38]
    assert sum_cpus(values, axis=0).tolist() == [12, 15, 18, 21]
    assert sum_cpus(values).dtype == np.uint32


@pytest.mark.parametrize(("text", "count"), [("0\n", 1), ("0-3\n", 4), ("0-1,4-5,9\n", 5)])
def test_possible_cpus(monkeypatch, tmp_path: Path, text, count):
    (tmp_path / "possible").write_text(text, encoding="ascii")
    monkeypatch.setattr(cells, "Path", lambda _: tmp_path / "possible")
    assert possible_cpus.__wrapped__() == count
