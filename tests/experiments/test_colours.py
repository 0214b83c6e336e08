"""The colours of reports can be told apart, also by those who lack one kind of cone."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from penstock.experiments.report.colours import COLOURS
from tests.docs.test_language import ROOT

STYLE = (ROOT / "src" / "penstock" / "experiments" / "report" / "style.css").read_text()
LIGHT, DARK = STYLE.split("@media (prefers-color-scheme: dark)")

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# IEEE TVCG 2009, severity 1.0: what linear sRGB looks like.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
APART = 20
"""CIE76 difference; about 2 can just be seen side by side."""


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    relative = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("by", SEEN)
@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_they_can_be_told_apart(style: str, by: str) -> None:
    colours = re.findall(r"--c\d: (#[0-9a-f]{6});", style)
    assert len(colours) == COLOURS
    seen = {colour: cielab(SEEN[by] @ linear(colour)) for colour in colours}
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > APART, f"{one} and {other}"
