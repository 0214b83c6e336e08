"""Which of Python's syntax the language has: checked before all else, also where a program never gets to."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, TypeAlias

Fault: TypeAlias = tuple[ast.AST, str]
"""What is outside the language, and a message that says what to do."""

SUPPORTED: Final[frozenset[type[ast.AST]]] = frozenset(
    {
        *(ast.AnnAssign, ast.Assign, ast.AugAssign, ast.Break, ast.Continue, ast.Expr, ast.For, ast.If),
        *(ast.Pass, ast.Return, ast.While, ast.With),
        *(ast.Attribute, ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Constant, ast.IfExp, ast.Name),
        *(ast.NamedExpr, ast.Subscript, ast.UnaryOp),
    }
)

UNSUPPORTED: Final = {
    "Assert": "assert: test with if, and return",
    "AsyncFor": "async for: use for",
    "AsyncFunctionDef": "async def: define it outside, with def",
    "AsyncWith": "async with: use with",
    "Await": "await: call the function",
    "ClassDef": "a class inside a function: define it outside",
    "Delete": "del: a name lives until the function returns",
    "Dict": "a dict: use a map, made outside the function",
    "DictComp": "a dict comprehension: use a loop and a map",
    "FormattedValue": "an f-string: programs have no text",
    "FunctionDef": "a function inside a function: define it outside",
    "GeneratorExp": "a generator expression: use a loop",
    "Global": "global: use a Global map",
    "Import": "import inside a function: import at the top of the file",
    "ImportFrom": "import inside a function: import at the top of the file",
    "Interpolation": "a template string: programs have no text",
    "JoinedStr": "an f-string: programs have no text",
    "Lambda": "lambda: define a function outside",
    "List": "a list: use zeros(type, length), or a tuple after `in`",
    "ListComp": "a list comprehension: use a loop",
    "Match": "match: use if and elif",
    "Nonlocal": "nonlocal: use a Global map",
    "Raise": "raise: return a value that tells",
    "Set": "a set: use a tuple after `in`, or a map made outside the function",
    "SetComp": "a set comprehension: use a loop",
    "Slice": "a slice: use elements one by one",
    "Starred": "* unpacking: write the values one by one",
    "TemplateStr": "a template string: programs have no text",
    "Try": "try: nothing raises in a program, test with if",
    "TryStar": "try: nothing raises in a program, test with if",
    "Tuple": "a tuple here: tuples are returned, unpacked, or stand after `in`",
    "TypeAlias": "type: define it outside the function",
    "Yield": "yield: return, or write to a map",
    "YieldFrom": "yield from: return, or write to a map",
}
"""All other kinds of statement and expression, by name: some exist in newer Pythons only."""

_IDENTITY: Final = ast.Is | ast.IsNot
_MEMBERSHIP: Final = ast.In | ast.NotIn


def first_fault(tree: ast.FunctionDef) -> Fault | None:
    """Return the first thing in a function that is outside the language, or None."""
    if fault := _parameter_fault(tree) or _unreached(tree.body):
        return fault
    has_docstring = ast.get_docstring(tree, clean=False) is not None
    todo: list[ast.AST] = [*reversed(tree.body[has_docstring:])]
    while todo:
        node = todo.pop()
        if fault := _fault(node):
            return fault
        todo += reversed(_parts(node))
    return None


def _parameter_fault(tree: ast.FunctionDef) -> Fault | None:
    star = tree.args.vararg or tree.args.kwarg
    return (star, f"not in the language: a parameter with *: name what {tree.name} takes") if star else None


def _unreached(body: list[ast.stmt]) -> Fault | None:
    for before, after in pairwise(body):
        if isinstance(before, ast.Return | ast.Break | ast.Continue):
            return after, f"never reached, after {type(before).__name__.lower()}: remove it"
    return None


def _parts(node: ast.AST) -> list[ast.AST]:
    """What a node is made of; a tuple counts as its elements in the places that it has."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
            return [*targets, *_elements(value)]
        case ast.AnnAssign():  # the annotation is Python's to evaluate
            return [node.target, *([node.value] if node.value else [])]
        case ast.Return(value=ast.Tuple(elts=values)):
            return [*values]
        case ast.Compare():
            compared = zip(node.ops, node.comparators, strict=True)
            items = [_elements(item) if isinstance(op, _MEMBERSHIP) else [item] for op, item in compared]
            return [node.left, *(part for each in items for part in each)]
        case _:
            return list(ast.iter_child_nodes(node))


def _elements(node: ast.expr) -> Iterable[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _fault(node: ast.AST) -> Fault | None:
    """What is wrong with a node, if it is not what it is made of."""
    if isinstance(node, ast.stmt | ast.expr) and type(node) not in SUPPORTED:
        name = type(node).__name__
        return node, f"not in the language: {UNSUPPORTED.get(name, name)}"
    fault: Fault | None = None
    match node:
        case ast.If() | ast.While() | ast.For() | ast.With():
            fault = _compound_fault(node)
        case ast.Assign(targets=[_, second, *_]):
            fault = second, "not in the language: several targets in one assignment: assign them one by one"
        case ast.AnnAssign(target=ast.Attribute() | ast.Subscript()):
            fault = node, "not in the language: a type here: only names are given types"
        case ast.Expr(value=ast.Constant()):
            fault = node, "this has no effect: make it a comment"
        case ast.Call(keywords=keywords) if any(keyword.arg is None for keyword in keywords):
            fault = node, "not in the language: ** in a call: write the arguments one by one"
        case ast.Compare(ops=[_, _, *_]) if any(isinstance(op, _IDENTITY | _MEMBERSHIP) for op in node.ops):
            fault = node, "not in the language: `is` or `in` in a chain: join two tests with `and`"
        case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
            fault = node, "not in the language: @: use * and +"
        case ast.Constant(value=value) if not isinstance(value, int | float | str | None):
            fault = node, f"not in the language: {value!r}: use whole numbers, True, False and None"
        case _:
            pass
    return fault


def _compound_fault(node: ast.If | ast.While | ast.For | ast.With) -> Fault | None:
    orelse: list[ast.stmt] = getattr(node, "orelse", [])
    fault = _unreached(node.body) or _unreached(orelse)
    match node:
        case ast.While(orelse=[first, *_]) | ast.For(orelse=[first, *_]):
            fault = first, "not in the language: else after a loop: use a name that tells"
        case ast.For(target=ast.Name(), iter=ast.Call(func=ast.Name("range"), args=[_, *_], keywords=[])):
            pass
        case ast.For():
            fault = node, "not in the language: for, except `for name in range(…):`"
        case ast.With(items=[ast.withitem(optional_vars=None)]):
            pass
        case ast.With():
            fault = node, "not in the language: with, except `with value.lock:`"
        case _:
            pass
    return fault
