"""Names that are known while compiling: a function's closure over its globals over Python's built-ins."""

from __future__ import annotations

import ast
import builtins
from collections import ChainMap
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from penstock.compiler.frontend.scope import Scope


def static_names(function: FunctionType) -> Mapping[str, Any]:
    """What each free name of `function` stands for now."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = {name: cell.cell_contents for name, cell in cells if _filled(cell)}
    return ChainMap(closure, function.__globals__, vars(builtins))


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty cell raises
    except ValueError:
        return False
    return True


def evaluate(scope: Scope, annotation: ast.expr) -> Any:
    """The object that an annotation inside the function names."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    code = compile(ast.fix_missing_locations(ast.Expression(annotation)), scope.source.file, "eval")
    try:
        return eval(code, dict(scope.names))  # noqa: S307  # the program's own annotation, as Python evaluates it
    except Exception as error:
        raise scope.error(annotation, f"{ast.unparse(annotation)} is no type: {error}") from None


def assigned_names(tree: ast.FunctionDef) -> frozenset[str]:
    """Every name that the function's own body assigns: local, as in Python."""
    arguments = {arg.arg for arg in [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]}
    stored = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return frozenset(arguments | stored)
