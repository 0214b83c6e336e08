"""The experiments that there are."""

from __future__ import annotations

import re

import pytest

from penstock.experiments import find, names
from penstock.experiments.catalogue import ExperimentError


@pytest.mark.parametrize("name", names())
def test_each_says_what_it_shows_and_takes_its_own_defaults(name: str) -> None:
    experiment = find(name)
    assert experiment.summary().endswith(".")
    assert {"duration", "runs", "seed"} <= set(experiment.options)
    assert experiment().parameters == {key: option.default for key, option in experiment.options.items()}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bufferblot", "did you mean bufferbloat?"),
        ("x", "there are transition, bufferbloat, fairness, overhead"),
    ],
)
def test_one_that_there_is_not(name: str, hint: str) -> None:
    with pytest.raises(ExperimentError, match=re.escape(f"no experiment {name}: {hint}")):
        find(name)
