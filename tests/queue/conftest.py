"""Fixtures for queues between hosts."""

import pytest

from penstock.lab import Lab
from tests.queue.box import Box


@pytest.fixture(params=["router", "bridge"])
def box(lab: Lab, request: pytest.FixtureRequest) -> Box:
    return Box(lab, request.param)


@pytest.fixture
def router(lab: Lab) -> Box:
    return Box(lab)
