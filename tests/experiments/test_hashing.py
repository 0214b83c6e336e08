"""The options that give flows room."""

import pytest

from penstock.experiments import hashing
from penstock.queue import catalogue


@pytest.mark.parametrize("scheduler", hashing._OPTIONS)
def test_it_is_an_option_of_the_scheduler(scheduler):
    ((name, value),) = hashing.room(scheduler).items()
    parameter = catalogue.find(scheduler).options[name]
    assert parameter.parse(str(value)) > parameter.parse(parameter.default)


def test_others_have_what_they_have():
    assert hashing.room("fifo") == hashing.room("./mine.py") == {}
