"""Everything outside the language is a CompileError that points at it: all of Python's syntax, and its uses.

In the snippets `¦` marks where the error must point; what compiles has none.
"""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from penstock.compiler import ir
from penstock.compiler.frontend import lower
from penstock.errors import CompileError

HEADER = """\
from __future__ import annotations
from penstock.lang import *

class Pair(Struct):
    left: u32
    right: u64
    port: be16
    bytes: Array[u8] = array(4)

class Locked(Struct):
    lock: SpinLock
    count: u64

pairs = HashMap(u32, Pair, 16)
locked = ArrayMap(Locked, 1)
WORDS = "a", "b"

def total(first: u32, second: u32) -> u32:
    return first + second

def both(first: u32) -> tuple[u32, bool]:
    return first, first > 1

def nothing(first: u32) -> None:
    pass

"""
MAIN = """\
@xdp
def main(packet: Xdp) -> int:
    number = packet.ifindex
    wide = u64(number)
    pair = Pair()
"""


def module_of(snippet: str) -> str:
    """Return a whole file: a snippet is one itself after the header, or the middle of a program."""
    if "def main" in snippet:
        return HEADER + snippet.lstrip("\n")
    body = "".join(f"    {line}\n" for line in snippet.strip("\n").splitlines())
    return f"{HEADER}{MAIN}{body}    return XDP_PASS\n"


def compiled(text: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> ir.Unit:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("snippet", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "snippet", module)
    spec.loader.exec_module(module)
    return lower(module.main)


def assert_refused(snippet: str, message: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, marker, after = module_of(snippet).partition("¦")
    assert marker, "mark where the error must point"
    text = before + after
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(CompileError) as caught:
        compiled(text, path, monkeypatch)
    error = caught.value
    source = text.splitlines()[line - 1]
    assert message in error.message
    assert (error.file, error.line, error.column, error.source) == (str(path), line, column, source)
    shown, caret = source.strip(), " " * (column - 1 - len(source) + len(source.lstrip())) + "^"
    assert str(error) == f"{path}:{line}:{column}: {error.message}\n    {shown}\n    {caret}"


SUPPORTED = {
    ast.AnnAssign: "x: u32 = 1",
    ast.Assign: "pair.left = 3",
    ast.AugAssign: "number += 1",
    ast.Break: "while number:\n    break",
    ast.Continue: "for i in range(4):\n    if number:\n        continue\n    number += 1",
    ast.Expr: "pairs.delete(number)",
    ast.For: "for i in range(4):\n    number += 1",
    ast.If: "if number:\n    number = 1\nelif wide:\n    number = 2\nelse:\n    number = 3",
    ast.Pass: "pass",
    ast.Return: "if number:\n    return 0",
    ast.While: "while number < 4:\n    number += 1",
    ast.With: "value = locked.lookup(0)\nif value:\n    with value.lock:\n        value.count += 1",
    ast.Attribute: "number = pair.left",
    ast.BinOp: "number = number * 3 + 1",
    ast.BoolOp: "if number and wide or number:\n    number = 0",
    ast.Call: "number = total(number, second=1)",
    ast.Compare: "truth = 1 < number <= 4",
    ast.Constant: "number = 7",
    ast.IfExp: "number = 1 if wide else 2",
    ast.Name: "other = number",
    ast.NamedExpr: "if (found := pairs.lookup(1)) is not None:\n    found.left = 1",
    ast.Subscript: "pair.bytes[1] = 2",
    ast.Tuple: "first, second = both(number)\nfirst, number = number, first\nif number in (1, 2):\n    pass",
    ast.UnaryOp: "number = -number + ~number",
}

UNSUPPORTED = {
    "Assert": ("¦assert number", "assert"),
    "AsyncFor": ("¦async def inner(x):\n    async for i in x: pass", "async def"),
    "AsyncFunctionDef": ("¦async def inner(): pass", "async def"),
    "AsyncWith": ("¦async def inner(x):\n    async with x: pass", "async def"),
    "Await": ("¦async def inner(x):\n    await x", "async def"),
    "ClassDef": ("¦class Inner: pass", "a class inside a function"),
    "Delete": ("¦del number", "del"),
    "Dict": ("x = ¦{1: number}", "a dict"),
    "DictComp": ("x = ¦{i: i for i in WORDS}", "a dict comprehension"),
    "FormattedValue": ("x = ¦f'{number}'", "an f-string"),
    "FunctionDef": ("¦def inner(): pass", "a function inside a function"),
    "GeneratorExp": ("x = ¦(i for i in WORDS)", "a generator expression"),
    "Global": ("¦global WORDS", "global"),
    "Import": ("¦import os", "import inside a function"),
    "ImportFrom": ("¦from os import path", "import inside a function"),
    "Interpolation": ("x = ¦t'{number}'", "a template string"),
    "JoinedStr": ("x = ¦f'text'", "an f-string"),
    "Lambda": ("x = ¦lambda: 1", "lambda"),
    "List": ("x = ¦[1, 2]", "a list"),
    "ListComp": ("x = ¦[i for i in WORDS]", "a list comprehension"),
    "Match": ("¦match number:\n    case 1: pass", "match"),
    "Nonlocal": (
        """
def outer():
    cell = 1
    @xdp
    def main(packet: Xdp) -> int:
        ¦nonlocal cell
        return cell
    return main
main = outer()
""",
        "nonlocal",
    ),
    "Raise": ("¦raise ValueError", "raise"),
    "Set": ("x = ¦{1, number}", "a set"),
    "SetComp": ("x = ¦{i for i in WORDS}", "a set comprehension"),
    "Slice": ("x = pair.bytes[¦1:2]", "a slice"),
    "Starred": ("x = total(¦*WORDS)", "* unpacking"),
    "TemplateStr": ("x = ¦t'text'", "a template string"),
    "Try": ("¦try:\n    pass\nfinally:\n    pass", "try"),
    "TryStar": ("¦try:\n    pass\nexcept* ValueError:\n    pass", "try"),
    "TypeAlias": ("¦type X = int", "type"),
    "Yield": ("x = (¦yield number)", "yield"),
    "YieldFrom": ("x = (¦yield from WORDS)", "yield from"),
}

OPERATORS = {
    "MatMult": ("x = ¦number @ number", "@: use * and +"),
    "Div": ("x = ¦number / 2", "not in the language: /"),
    "Pow": ("x = ¦number ** 2", "not in the language: **"),
}
SUPPORTED_OPERATORS = {
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "FloorDiv": "//",
    "Mod": "%",
    "LShift": "<<",
    "RShift": ">>",
    "BitAnd": "&",
    "BitOr": "|",
    "BitXor": "^",
}

USES = {
    "a tuple as a value": ("x = ¦(1, 2)", "a tuple here"),
    "star target": ("first, ¦*rest = both(number)", "* unpacking"),
    "nested unpacking": ("¦(a, b), c = 1, 2", "a tuple here"),
    "chained assignment": ("a = ¦b = 1", "several targets"),
    "typed attribute": ("¦pair.left: u32 = 1", "a type here"),
    "for else": ("for i in range(3):\n    pass\nelse:\n    ¦number = 1", "else after a loop"),
    "while else": ("while number:\n    break\nelse:\n    ¦number = 1", "else after a loop"),
    "for over a tuple": ("¦for i in WORDS:\n    pass", "for, except `for name in range"),
    "for of two names": ("¦for a, b in range(3):\n    pass", "for, except `for name in range"),
    "with a name": ("¦with pair as x:\n    pass", "with, except `with value.lock:`"),
    "with no lock": ("with ¦pair:\n    pass", "`with` holds a spin lock"),
    "star arguments": ("x = total(¦*both(number))", "* unpacking"),
    "double star": ("x = ¦total(**WORDS)", "** in a call"),
    "star parameter": ("def f(*¦rest: u32) -> u32:\n    return 1\n\n" + MAIN + "    return int(f(1))\n",
        "a parameter with *"),
    "too many arguments": ("x = total(1, 2, ¦3)", "takes 2 arguments by position, not 3"),
    "too few arguments": ("x = ¦total(1)", "also needs second"),
    "unknown keyword": ("x = total(1, third=¦2)", "no parameter 'third'"),
    "keyword given twice": ("x = total(1, first=¦2)", "'first' twice"),
    "field that is not": ("x = Pair(middle=¦1)", "no field 'middle'"),
    "field by position": ("x = Pair(¦1)", "given by name"),
    "read of no field": ("x = ¦pair.middle", "no field 'middle'"),
    "float": ("x = 1.5\nwide = ¦x", "1.5 cannot be a value"),
    "float in a sum": ("number = ¦number + 1.5", "1.5 cannot be a value"),
    "str": ("number = ¦'text'", "cannot be a value"),
    "bytes": ("x = ¦b'text'", "use whole numbers"),
    "complex": ("x = ¦1j", "use whole numbers"),
    "ellipsis": ("x = ¦...", "use whole numbers"),
    "unknown name": ("x = ¦elsewhere", "elsewhere is not defined"),
    "unassigned name": ("if number:\n    x = 1\nnumber = u32(¦x)", "x may be unassigned"),
    "unassigned loop name": ("for i in range(wide):\n    x = 1\nwide = ¦x", "x may be unassigned"),
    "widths": ("x = ¦number + wide", "u32 + u64: convert one side"),
    "widths in an assignment": ("number = ¦wide", "number is u32"),
    "widths in an argument": ("x = ¦total(wide, 1)", "first of total is u32, this is u64"),
    "widths compared": ("if ¦number < wide:\n    pass", "u32 compared with u64"),
    "signs": ("x = ¦i32(1) + number", "i32 + u32"),
    "bool arithmetic": ("x = ¦number + (number > 1)", "u32 + bool"),
    "number as bool": ("truth = number > 1\ntruth = ¦number", "truth is bool"),
    "big-endian arithmetic": ("x = ¦pair.port + be16(1)", "big-endian numbers must be converted"),
    "big-endian order": ("x = ¦pair.port < be16(1)", "be16 has no order"),
    "big-endian literal": ("x = ¦pair.port == 80", "80 has no byte order"),
    "big-endian width": ("x = ¦u32(pair.port)", "make it a u16 first"),
    "big-endian assigned": ("number = ¦pair.port", "this is be16"),
    "literal too large": ("number = ¦4294967296", "does not fit in u32"),
    "literal negative": ("number = ¦-1", "-1 does not fit in u32"),
    "literal in an operation": ("x = ¦number + 4294967296", "does not fit in u32"),
    "literal for a field": ("pair.bytes[0] = ¦256", "256 does not fit in u8"),
    "literal declared": ("x: u8 = ¦256", "256 does not fit in u8"),
    "shift too far": ("x = ¦number << 32", "shift by 32: u32 has 32 bits"),
    "shift too far in place": ("¦number >>= 32", "shift by 32: u32 has 32 bits"),
    "shift by less than nothing": ("x = ¦wide >> -1", ""),
    "division by zero": ("x = ¦number // 0", "division by zero"),
    "is of numbers": ("if ¦number is wide:\n    pass", "`is` compares with None only"),
    "number is None": ("if ¦number is None:\n    pass", "u32 is never None"),
    "is in a chain": ("if ¦pair is pair is None:\n    pass", "in a chain"),
    "structs compared": ("if ¦pair == Pair():\n    pass", "compare their fields"),
    "in a number": ("if number in ¦wide:\n    pass", "`in` takes a tuple"),
    "or as a value": ("x = ¦number or 1", "write `a if test else b`"),
    "and as a value": ("x = ¦number and wide", "write `a if test else b`"),
    "unlike branches": ("x = ¦number if wide else pair", "one side is"),
    "signed index": ("x = pair.bytes[¦i32(1) + i32(number)]", "an index is an unsigned number"),
    "bool index": ("x = pair.bytes[¦number > 1]", "an index is an unsigned number"),
    "text index": ("x = pair.bytes[¦'a']", "cannot be a value"),
    "index too large": ("x = pair.bytes[¦4]", "index 4 is outside u8[4]"),
    "index negative": ("x = pair.bytes[¦-1]", "index -1 is outside u8[4]"),
    "index of a number": ("x = ¦number[0]", "no fields, elements"),
    "possibly None": ("x = ¦pairs.lookup(1).left", "may be None"),
    "possibly None by name": ("x = pairs.lookup(1)\n¦x.left = 1", "x may be None"),
    "no effect": ("¦number + 1", "this has no effect"),
    "text as a comment": ("number = 2\n¦'text'", "this has no effect"),
    "never reached": ("if number:\n    return 0\n    ¦number = 1", "never reached"),
    "call of nothing": ("x = ¦nothing(1)", "returns nothing"),
    "call of a number": ("x = ¦number()", "cannot be called"),
    "call of anything": ("¦print(1)", "print cannot be called"),
    "tuple not unpacked": ("x = ¦both(1)", "a tuple must be unpacked"),
    "unpacked into three": ("¦a, b, c = both(1)", "2 values for 3 names"),
    "int for a variable": ("x: ¦int = 1", "say which integer"),
    "type changes": ("x = 1\nx = ¦pair", "x is u64"),
    "step of zero": ("for i in ¦range(0, 4, 0):\n    pass", "the step of a range"),
    "in a branch left out": ("if False:\n    x = ¦[1]", "a list"),
    "in an operand left out": ("x = False and ¦[1]", "a list"),
    "in an alternative left out": ("x = 1 if True else ¦{}", "a dict"),
}  # fmt: skip

CALL = MAIN + "    f(1)\n    return XDP_PASS\n"
SIX = ", ".join(f"{name}: u32" for name in "abcdef")
FUNCTIONS = {
    "recursion": ("def f(a: u32) -> u32:\n    return ¦f(a)\n", "f calls itself"),
    "recursion by another": (
        "def f(a: u32) -> u32:\n    return g(a)\n\ndef g(a: u32) -> u32:\n    return ¦f(a)\n",
        "f calls itself",
    ),
    "recursion of a method": (
        "class C:\n    def g(self) -> None:\n        ¦self.g()\nc = C()\ndef f(a: u32) -> None:\n    c.g()\n",
        "g calls itself",
    ),
    "recursion with ever new constants": (
        "def g(n: object) -> None:\n    ¦g(n + 1)\ndef f(a: u32) -> None:\n    g(1)\n", "g calls itself"),
    "attribute of an object assigned": (
        "class C:\n def g(self) -> None:\n  ¦self.n = 1\nc = C()\ndef f(a: u32) -> None:\n    c.g()\n",
        "self.n is no place in memory that can be changed",
    ),
    "parameter without a type": ("def f(¦a) -> u32:\n    return 1\n", "the type of a"),
    "result without a type": ("¦def f(a: u32):\n    return 1\n", "what it returns"),
    "type that is unknown": ("def f(¦a: Elsewhere) -> u32:\n    return 1\n",
        "Elsewhere is no type"),
    "int returned": ("def f(a: u32) -> ¦int:\n    return 1\n", "say which integer"),
    "no return": ("def f(a: u32) -> u32:\n    ¦a += 1\n", "may end here without returning u32"),
    "no return on one way": (
        "def f(a: u32) -> u32:\n    ¦if a:\n        return 1\n", "may end here without returning u32"),
    "bare return": ("def f(a: u32) -> u32:\n    ¦return\n", "f"),
    "value from a procedure": ("def f(a: u32) -> None:\n    ¦return a\n", "annotated to return nothing"),
    "other type returned": ("def f(a: u32) -> u64:\n    return ¦a\n", "the result of f is u64"),
    "one for two": ("def f(a: u32) -> tuple[u32, u32]:\n    return ¦a\n", ""),
    "own stack": ("def f(a: u32) -> Pair:\n    return ¦Pair(left=a)\n", "own stack"),
    "own stack by name": (
        "def f(a: u32) -> Pair:\n    pair = Pair(left=a)\n    return ¦pair\n", "own stack"),
    "lambda by name": ("¦f = lambda a: a\n", "has no source"),
}  # fmt: skip

PROGRAMS = {
    "int parameter": (
        "def f(a: int) -> u32:\n    return 1\n\n" + CALL.replace("f(1)", "¦f(1)"), "say which integer"),
    "six arguments": (
        f"@subprogram\n¦def f({SIX}) -> u32:\n    return a\n\n" + CALL.replace("f(1)", "f(1, 2, 3, 4, 5, 6)"),
        "at most 5 arguments, not 6"),
    "reference from a subprogram": (
        "@subprogram\n¦def f(a: u32) -> Pair | None:\n    return None\n\n" + CALL,
        "a subprogram returns one number or nothing"),
    "nothing in": ("@xdp\n¦def main() -> int:\n    return 1\n", "takes one packet"),
    "wrong packet": ("@xdp\n¦def main(packet: Tc) -> int:\n    return 1\n", "takes one packet"),
    "width out": ("@xdp\n¦def main(packet: Xdp) -> u32:\n    return 1\n", "returns int"),
    "missing return": ("@xdp\ndef main(packet: Xdp) -> int:\n    ¦pass\n", "without returning"),
}  # fmt: skip


def exists(name: str) -> bool:
    """Whether this version of Python has the syntax."""
    return hasattr(ast, name)


def kinds(base: type[ast.AST]) -> set[str]:
    return {kind.__name__ for kind in base.__subclasses__()}


def test_every_kind_of_syntax_is_decided():
    decided = {kind.__name__ for kind in SUPPORTED} | {name for name in UNSUPPORTED if exists(name)}
    assert decided == kinds(ast.stmt) | kinds(ast.expr)
    assert not {kind.__name__ for kind in SUPPORTED} & UNSUPPORTED.keys()
    assert SUPPORTED_OPERATORS.keys() | OPERATORS.keys() == kinds(ast.operator)


@pytest.mark.parametrize("kind", SUPPORTED, ids=lambda kind: kind.__name__)
def test_supported_syntax_compiles(kind, tmp_path, monkeypatch):
    snippet = SUPPORTED[kind]
    assert any(isinstance(node, kind) for node in ast.walk(ast.parse(f"def f():\n{_indented(snippet)}")))
    assert compiled(module_of(snippet), tmp_path / "snippet.py", monkeypatch).functions


@pytest.mark.parametrize("symbol", SUPPORTED_OPERATORS.values())
def test_supported_operators_compile(symbol, tmp_path, monkeypatch):
    text = module_of(f"number = number {symbol} 3\nnumber {symbol}= number")
    assert compiled(text, tmp_path / "snippet.py", monkeypatch).functions


@pytest.mark.parametrize("kind", [kind for kind in UNSUPPORTED if exists(kind)])
def test_unsupported_syntax_is_refused(kind, tmp_path, monkeypatch):
    snippet, message = UNSUPPORTED[kind]
    tree = ast.parse(module_of(snippet).replace("¦", ""))
    assert any(type(node).__name__ == kind for node in ast.walk(tree))
    assert_refused(snippet, f"not in the language: {message}", tmp_path / "snippet.py", monkeypatch)


@pytest.mark.parametrize("case", {**OPERATORS, **USES, **PROGRAMS})
def test_wrong_use_is_refused(case, tmp_path, monkeypatch):
    snippet, message = {**OPERATORS, **USES, **PROGRAMS}[case]
    assert_refused(snippet, message, tmp_path / "snippet.py", monkeypatch)


@pytest.mark.parametrize("case", FUNCTIONS)
def test_wrong_function_is_refused(case, tmp_path, monkeypatch):
    function, message = FUNCTIONS[case]
    assert_refused(f"{function}\n{CALL}", message, tmp_path / "snippet.py", monkeypatch)


def _indented(snippet: str) -> str:
    return "".join(f"    {line}\n" for line in snippet.splitlines())
