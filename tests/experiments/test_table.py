"""Results as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.experiments.table import cell, figures, heading, number, text
from tests.experiments.made import ROWS, made


def test_a_short_table_has_the_telling_figures() -> None:
    lines = text(replace(made(), telling=("link_mbps", "goodput_mbps"))).splitlines()
    assert lines[0].split() == ["case", "link", "goodput"]
    assert [line.split()[0] for line in lines[2:]] == ["fifo", "fq_codel", "a"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("goodput_mbps", ("goodput", "Mbit/s")),
        ("rtt_p99_ms", ("rtt p99", "ms")),
        ("cpu_percent", ("cpu", "%")),
        ("sent_packets", ("sent", "packets")),
        ("jain_index", ("jain index", "")),
        ("packets", ("packets", "")),
    ],
)
def test_heading(name: str, parts: tuple[str, str]) -> None:
    assert heading(name) == parts


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"x": 93.4, "x_spread": [91.23, 94.0]}, "93.4 (91.2\u201394.0)"),
        ({"x": 0.0, "x_spread": [0.0, 0.25]}, "0.000 (0.000\u20130.250)"),
        ({"x": 1.0, "x_spread": [0.0, 2.0]}, "1 (0\u20132)"),
        ({"x": -1.0, "x_spread": [-1.25, 0.5]}, "-1.00 (-1.25 to 0.50)"),
        ({"x": 50.12, "x_spread": [50.11, 50.13]}, "50.1"),
        ({"x": 941.5}, "942"),
        ({"x": 1234567}, "1,234,567"),
        ({"x": 9.876}, "9.88"),
        ({"x": -0.01234}, "-0.0123"),
        ({"x": 0.0}, "0"),
        ({"x": 5}, "5"),
        ({"x": float("nan")}, "nan"),
        ({"x": True}, "yes"),
        ({"x": "kernel"}, "kernel"),
        ({}, ""),
    ],
)
def test_cell(row: dict[str, Any], expected: str) -> None:
    assert cell(row, "x") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(999.6, "1,000"), (9.999, "10.0"), (0.9999, "1.00"), (0.1 + 0.2, "0.300"), (3, "3"), (-12.345, "-12.3")],
)
def test_number(value: float, expected: str) -> None:
    assert number(value) == expected


def test_a_cell_without_spread() -> None:
    assert cell({"x": 93.4, "x_spread": [91.23, 94.0]}, "x", spread=False) == "93.4"


def test_columns_are_those_of_all_rows() -> None:
    assert figures(ROWS) == ["case", "goodput_mbps", "rtt_p99_ms", "link_mbps", "drops", "agrees"]


def test_text() -> None:
    assert text(made()).splitlines() == [
        "case                  goodput  rtt p99    link                drops  agrees",
        "                       Mbit/s       ms  Mbit/s",
        "fifo         93.4 (91.2\u201394.0)       80     100",
        "fq_codel     92.2 (92.0\u201392.5)                   1,237 (1,234\u20131,240)",
        "a <b> & 'c'            0.0123                                           yes",
    ]


def test_text_is_as_wide_as_it_has_to_be() -> None:
    wide = {f"figure_{number}_ms": 1.25 for number in range(100)}
    result = made()
    lines = text(type(result)(result.experiment, "", {}, [{"case": "x", **wide}], [])).splitlines()
    assert len(lines) == 3
    assert lines[2].count("1.25") == 100
