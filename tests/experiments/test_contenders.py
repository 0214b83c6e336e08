"""Schedulers to compare with."""

from pathlib import Path

import pytest

from penstock.experiments.contenders import case, schedulers


def test_names_and_files():
    here = Path.cwd()
    assert schedulers("") == ()
    assert schedulers("drr,drr") == ("drr",)
    assert schedulers("drr,./mine.py,a/b.py:Voice") == ("drr", f"{here}/mine.py", f"{here}/a/b.py:Voice")
    assert [case(each) for each in schedulers("drr,./mine.py,a/b.py:Voice")] == ["drr", "mine", "Voice"]


@pytest.mark.parametrize(
    "text", ["./fifo.py", "a/mine.py,b/mine.py", "a/x.py:Mine,b/y.py:Mine", "drr,./drr.py"]
)
def test_no_two_are_called_the_same(text):
    with pytest.raises(
        ValueError, match=r"there is another scheduler (fifo|mine|Mine|drr): name the file otherwise"
    ):
        schedulers(text)
