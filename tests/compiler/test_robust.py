"""Whatever is written, the compiler compiles it or says at a line of it what is wrong, no more.

Parts of the golden cases' programs take the place of others, at random but always the same.
"""

from __future__ import annotations

import ast
import copy
import linecache
import random
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from penstock import lang
from penstock.compiler.codegen import emit
from penstock.compiler.frontend import lower
from penstock.compiler.ir_text import dump
from penstock.errors import CompileError
from tests.compiler.test_golden import cases

NAMES = {name: getattr(lang, name) for name in lang.__all__}
TREES = [ast.parse("from __future__ import annotations\n" + case.source) for case in cases()]


def parts(tree: ast.Module) -> Iterator[tuple[Any, Any, ast.AST]]:
    """Iterate over the parts of functions that have none inside: what holds each, where, and the part."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    innermost = [
        f for f in functions if not any(isinstance(s, ast.FunctionDef | ast.ClassDef) for s in f.body)
    ]
    for node in (node for function in innermost for line in function.body for node in ast.walk(line)):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                yield from ((value, number, part) for number, part in enumerate(value))
            elif isinstance(value, ast.AST):
                yield vars(node), name, value
    for function in innermost:
        yield from ((function.body, number, line) for number, line in enumerate(function.body))


def kind_of(node: ast.AST) -> str | None:
    """What a part can take the place of."""
    if isinstance(node, ast.Return | ast.FunctionDef):
        return None
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return "target"
    kinds = (ast.expr, ast.stmt, ast.operator, ast.boolop, ast.cmpop)
    return next((kind.__name__ for kind in kinds if isinstance(node, kind)), None)


KINDS = [[(kind_of(part), part) for _, _, part in parts(tree)] for tree in TREES]


def mixed(number: int) -> str:
    """Return the source of a case with a few of its parts exchanged for others, most of them of its own."""
    rng = random.Random(number)
    which = rng.randrange(len(TREES))
    tree = copy.deepcopy(TREES[which])
    for _ in range(rng.choice([1, 1, 2, 3])):
        holder, key, part = rng.choice(list(parts(tree)))
        own = rng.random() < 0.8
        others = KINDS[which] if own else [item for items in KINDS for item in items]
        fitting = [other for kind, other in others if kind and kind == kind_of(part)]
        if fitting:
            holder[key] = copy.deepcopy(rng.choice(fitting))
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def programs(source: str) -> list[lang.Program]:
    """Return the programs of a source; none if it is no good Python."""
    try:
        code = compile(source, "mixed.py", "exec", dont_inherit=True)
    except SyntaxError:  # a break that is outside of loops now, for instance
        return []
    linecache.cache["mixed.py"] = len(source), None, source.splitlines(keepends=True), "mixed.py"
    module = sys.modules["mixed"] = ModuleType("mixed")
    vars(module).update(NAMES)
    exec(code, vars(module))  # noqa: S102  # functions of the tests' own
    return [value for value in vars(module).values() if isinstance(value, lang.Program)]


@pytest.mark.filterwarnings("ignore:.* with .* literal:SyntaxWarning")
def test_compiled_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mixed", ModuleType("mixed"))
    compiled, refusals = 0, list[tuple[CompileError, int]]()
    for number in range(4000):
        source = mixed(number)
        for program in programs(source):
            try:
                unit = lower(program)
                emit(unit)
                dump(unit)
                compiled += 1
            except CompileError as error:
                refusals.append((error, source.count("\n")))
    assert compiled > 1000
    assert len(refusals) > 2000
    for error, lines in refusals:
        assert error.message
        assert error.file == "mixed.py"
        assert 0 < error.line <= lines
