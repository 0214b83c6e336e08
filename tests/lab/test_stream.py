"""UDP at a rate, and when it arrives."""

import numpy as np
import pytest

from penstock.lab import Capture, LabError
from penstock.lab.arrivals import Arrivals
from penstock.lab.stream import stream


@pytest.fixture
def link(lab):
    return lab.link(lab.host("a"), lab.host("b"), xdp=True)


@pytest.mark.parametrize(("rate", "length"), [(10_000_000, 1514), (1_000_000_000, 1514), (100_000_000, 100)])
def test_all_that_is_sent_arrives_at_the_rate(link, rate, length):
    source, target = (end.host for end in link)
    with Arrivals(link[1]) as arrivals:
        sent = stream(source, target, rate, length=length, seconds=0.5).wait()
        found = arrivals.read()
        assert len(arrivals.read()) == 0
    assert sent == pytest.approx(rate * 0.5 / 8 / length, rel=0.1)
    assert len(found) == sent
    assert set(found["length"]) == {length}
    assert np.all(np.diff(found["time"].astype(np.int64)) >= 0)
    assert np.ptp(found["time"]) / 1e9 == pytest.approx(0.5, rel=0.1)


def test_what_is_noted_goes_no_further(link, tmp_path):
    source, target = (end.host for end in link)
    with Capture(link[1], tmp_path / "packets") as capture, Arrivals(link[1]) as arrivals:
        sent = stream(source, target, 1_000_000, seconds=0.2).wait()
        assert len(arrivals.read()) == sent
    assert capture.packets < sent


def test_what_cannot_be_sent_says_why(link):
    source, target = (end.host for end in link)
    with pytest.raises(LabError, match=r"^a: cannot send a stream: OSError: .*"):
        stream(source, target, 1_000_000, length=3000, seconds=0.1).wait()
