"""Generated programs give the same results in the kernel as in a model of the language.

Which programs is fixed, so that a run is like the last. For others, and for more of them, set
PENSTOCK_DIFFERENTIAL to how many times as many there shall be: `PENSTOCK_DIFFERENTIAL=50 pytest
tests/compiler/test_differential.py`. What fails is then kept in .hypothesis and tried first in the next run.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

import penstock
from penstock.lang import XDP_PASS
from tests.compiler import model
from tests.compiler.generate import FIELDS, Module, expressions, inputs, programs

TIMES = int(os.environ.get("PENSTOCK_DIFFERENTIAL", "0"))
IMPORTS = "from penstock.lang import *\n"


def differential(examples: int) -> settings:
    return settings(
        max_examples=examples * (TIMES or 1),
        derandomize=not TIMES,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.reuse, Phase.generate],  # a failure names its one expression: shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Comparison:
    """Runs modules in both ways, and counts what was compared."""

    folder: Path
    compared: int = 0
    modules: int = 0
    numbers: Any = field(default_factory=itertools.count)

    def check(self, module: Module, given: Sequence[dict[str, int]]) -> None:
        kernel = self._in_kernel(module, given)
        names = model.run(module.source)
        for values, found in zip(given, kernel, strict=True):
            expected = _in_model(names, values)
            for name, source in module.results.items():
                assert found[name] == expected[name], _difference(
                    module, name, source, values, found[name], expected[name]
                )
                self.compared += 1
        self.modules += 1

    def _in_kernel(self, module: Module, given: Sequence[dict[str, int]]) -> list[dict[str, int]]:
        path = self.folder / f"generated{next(self.numbers)}.py"
        path.write_text(IMPORTS + module.source, encoding="utf-8")
        code = _load(path)
        layout = code.Inputs.__layout__.dtype
        found: list[dict[str, int]] = []
        with _showing(module), penstock.load(code.program) as loaded:
            memory = loaded[code.results].memory
            for values in given:
                record = np.zeros((), layout)
                for name, value in values.items():
                    record[name] = value
                memory.view(np.uint8)[:] = 0
                ran = loaded[code.program].test_run(record.tobytes())
                assert ran.retval == XDP_PASS, module.source
                found.append({name: int(memory[0][name]) for name in module.results})
        return found


@contextmanager
def _showing(module: Module) -> Iterator[None]:
    """Whatever penstock refuses is shown whole."""
    try:
        yield
    except penstock.PenstockError as error:
        error.add_note(module.source)
        raise


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # a Struct looks its annotations up there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


def _in_model(names: dict[str, Any], values: dict[str, int]) -> dict[str, int]:
    header = names["Inputs"]()
    for name, kind in FIELDS.items():
        cast = bool if kind == "bool" else names[kind]
        setattr(header, name, cast(values[name]))
    names["results"].value = names["Results"]()
    assert names["program"](model.Packet(header)) == XDP_PASS
    return {name: int(value) for name, value in vars(names["results"].value).items()}


def _difference(
    module: Module, name: str, source: str, values: dict[str, int], found: int, expected: int
) -> str:
    used = {key: value for key, value in values.items() if f"inputs.{key}" in module.source}
    return f"{name}: the kernel says {found}, the model {expected}, for\n    {source}\nwith {used}"


def test_expressions(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)

    @differential(40)
    @given(expressions(), inputs())
    def compare(module: Module, given: list[dict[str, int]]) -> None:
        comparison.check(module, given)

    compare()
    print(f"{comparison.compared} results of expressions compared")  # noqa: T201
    assert comparison.compared >= 5000


def test_programs(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)

    @differential(60)
    @given(programs(count=5), inputs())
    def compare(module: Module, given: list[dict[str, int]]) -> None:
        comparison.check(module, given)

    compare()
    print(f"{comparison.compared} results of {5 * comparison.modules} programs compared")  # noqa: T201
    assert comparison.modules * 5 >= 300
