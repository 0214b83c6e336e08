"""Offload settings of an interface, by the short names that `ethtool -K` takes."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

from pyroute2.ethtool.ioctl import IoctlEthtool

from penstock.lab.namespace import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The kernel's names of the features that each short name stands for (net/ethtool/common.c).
_FEATURES: Final[Mapping[str, str]] = {
    "rx": "rx-checksum",
    "tx": "tx-checksum-*",
    "tso": "tx-tcp*",
    "gso": "tx-generic-segmentation",
    "gro": "rx-gro",
    "txvlan": "tx-vlan-*",  # of both kinds of tags; ethtool means those of 802.1Q alone
}


def set_offloads(interface: str, wanted: Mapping[str, bool]) -> None:
    """Switch features of an interface in the calling thread's network namespace; all others stay.

    Raises:
        LabError: A name is none of rx, tx, tso, gso, gro, txvlan.
    """
    unknown = wanted.keys() - _FEATURES.keys()
    if unknown:
        message = f"no offload named {', '.join(sorted(unknown))}: there are {', '.join(_FEATURES)}"
        raise LabError(message)
    device: Any = IoctlEthtool(interface)
    try:
        features = device.get_features()
        for short, on in wanted.items():
            for name in [name for name in features.keys() if fnmatch(name, _FEATURES[short])]:  # noqa: SIM118  # no mapping
                if features.is_available(name):
                    features[name] = on
        device.set_features(features)
    finally:
        device.close()
