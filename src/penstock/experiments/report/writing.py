"""Writing a report."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import PenstockError
from penstock.experiments import files

if TYPE_CHECKING:
    from penstock.experiments.result import Result


class ReportError(PenstockError):
    """Reports cannot be made here."""


def check(directory: Path, name: str) -> None:
    """Find out whether a report can be written, before all the measuring; makes the directory.

    Raises:
        ReportError: matplotlib, which draws, is missing.
        FileError: The directory or a file there cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ReportError("reports are drawn by matplotlib: pip install 'penstock[lab]'")
    files.make_directory(directory)
    for path in _paths(directory, name):
        files.check(path)


def write(directory: Path, results: Sequence[Result], name: str = "") -> Path:
    """Write a report of one or several results, and a JSON file of the same name; return the report's path.

    It is named after the experiment, `transition.html`, if not otherwise. Errors are those of `check`.
    """
    name = name or "-".join(result.experiment for result in results)
    check(directory, name)
    from penstock.experiments.report.page import page  # noqa: PLC0415  # it takes matplotlib

    report, data = _paths(directory, name)
    files.write(data, as_text(results))
    files.write(report, page(results))
    return report


def as_text(results: Sequence[Result]) -> str:
    """Return one result as a JSON object, or several as a list of them."""
    found = [result.as_json() for result in results]
    return json.dumps(found if len(found) > 1 else found[0]) + "\n"


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}.html", directory / f"{name}.json"
