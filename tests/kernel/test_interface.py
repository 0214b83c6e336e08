"""Interfaces by name or index, and errors that help."""

import pytest

from penstock.errors import KernelError
from penstock.kernel import interface
from penstock.kernel.interface import find_interface


def test_by_name_and_by_index(wire):
    near, _ = wire
    for found in (find_interface(near.name), find_interface(near.index)):
        assert (found.name, found.index, str(found)) == (near.name, near.index, near.name)


def test_only_those_of_this_network_namespace(wire):
    _, far = wire
    with pytest.raises(KernelError, match=f"no interface {far.name}"):
        find_interface(far.name)


@pytest.mark.parametrize(
    ("existing", "asked", "message"),
    [
        (["lo", "eth0", "eth1", "wlan0"], "eth2", "no interface eth2: did you mean eth1 or eth0?"),
        (["lo", "enp3s0"], "enp3so", "no interface enp3so: did you mean enp3s0?"),
        (["lo", "eth0"], "bond7", "no interface bond7: there are lo, eth0"),
        (["lo"], "bond7", "no interface bond7: there is only lo"),
        ([], "eth0", "no interface eth0: there are none"),
        (["lo", "eth0"], 99, "no interface has index 99: there are lo, eth0"),
    ],
)
def test_what_is_not_there(monkeypatch, existing, asked, message):
    monkeypatch.setattr(interface.socket, "if_nameindex", lambda: list(enumerate(existing, 1)))
    with pytest.raises(KernelError) as error:
        find_interface(asked)
    assert str(error.value) == message
