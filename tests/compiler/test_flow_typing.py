"""What may be None is known as type checkers know it: after tests, in loops, on every way to a line.

Each program is compiled alone; all of them together, as one file, are checked by pyright (strict) and mypy
(--strict). Lines ending in `# None` must be refused by all three for None, and nothing else by any.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import lang
from penstock.compiler.frontend import lower
from penstock.errors import CompileError

HEADER = """\
from __future__ import annotations

from penstock.lang import XDP_DROP, XDP_PASS, HashMap, RingBuf, Struct, Xdp, be16, u32, u64, xdp


class Pair(Struct):
    left: u64
    right: u64


pairs = HashMap(u32, Pair, 16)
numbers = HashMap(be16, u64, 16)
events = RingBuf(Pair, 4096)


def left_of(pair: Pair) -> u64:
    return pair.left


def left_or_zero(pair: Pair | None) -> u64:
    return pair.left if pair else 0


def either(first: Pair | None, second: Pair | None) -> Pair | None:
    return first if first is not None else second

"""

ACCEPTED = {
    "is_none_returns": "if pair is None:\n    return XDP_DROP\npair.left = 1",
    "is_not_none": "if pair is not None:\n    pair.left = 1",
    "is_none_else": "if pair is None:\n    pass\nelse:\n    pair.left = 1",
    "truth": "if pair:\n    pair.left = 1",
    "not_returns": "if not pair:\n    return XDP_DROP\npair.left = 1",
    "not_not": "if not (not pair):\n    pair.left = 1",
    "not_is_none": "if not (pair is None):\n    pair.left = 1",
    "and_operand": "if pair is not None and pair.left > 1:\n    pair.left = 1",
    "and_three": "if pair and other and pair.left > other.left:\n    other.left = pair.left",
    "or_operand": "if pair is None or pair.left > 1:\n    return XDP_DROP\npair.left = 1",
    "or_of_two": "if pair is None or other is None:\n    return XDP_DROP\npair.left = other.left",
    "not_and": "if not (pair and other):\n    return XDP_DROP\npair.left = other.left",
    "not_or": "if not (not pair or not other):\n    pair.left = other.left",
    "walrus": "if (found := packet.read(Pair, 3)) is not None:\n    found.left = 1",
    "walrus_truth": "if found := packet.read(Pair, 3):\n    found.left = 1",
    "walrus_and": "if (found := packet.read(Pair, 3)) and found.left > 1:\n    found.left = 1",
    "walrus_returns": "if not (found := packet.read(Pair, 3)):\n    return XDP_DROP\nfound.left = 1",
    "walrus_while": "while (found := packet.read(Pair, 3)) is not None:\n    found.left = 1\n    break",
    "expression": "number = pair.left if pair else 0\nif number:\n    return XDP_DROP",
    "expression_is_none": "number = 0 if pair is None else pair.left\nif number:\n    return XDP_DROP",
    "elif_chain": "if pair is None:\n    pass\nelif pair.left:\n    pass\nelse:\n    pair.left = 1",
    "both_branches_assign": """\
if packet.ifindex:
    if pair is None:
        return XDP_DROP
else:
    pair = Pair()
pair.left = 1""",
    "assigned_if_none": "if pair is None:\n    pair = Pair()\npair.left = 1",
    "while_test": "while pair is not None:\n    pair.left = 1\n    pair = packet.read(Pair, 3)",
    "after_while": "while pair is None:\n    pair = packet.read(Pair, 3)\npair.left = 1",
    "loop_continue": """\
for _ in range(4):
    found = packet.read(Pair, 3)
    if found is None:
        continue
    found.left = 1""",
    "loop_break": """\
for _ in range(4):
    if pair is None:
        break
    pair.left = 1
    pair = packet.read(Pair, 3)""",
    "endless_loop": """\
while True:
    if pair is not None:
        break
    pair = packet.read(Pair, 3)
pair.left = 1""",
    "narrow_kept_in_loop": """\
if pair is None:
    return XDP_DROP
for _ in range(4):
    pair.left += 1""",
    "argument_narrowed": "if pair:\n    return XDP_DROP if left_of(pair) else XDP_PASS",
    "argument_nullable": "if left_or_zero(pair):\n    return XDP_DROP",
    "result_narrowed": "found = either(pair, other)\nif found:\n    found.left = 1",
    "number": "number = numbers.lookup(be16(1))\nif number is not None:\n    number.value += 1",
    "number_or_insert": """\
number = numbers.lookup(be16(1))
if number is None:
    numbers.update(be16(1), u64(1))
else:
    number.value += 1""",
    "reserve": "event = events.reserve()\nif event is None:\n    return XDP_DROP\nevents.submit(event)",
    "none_then_found": "found = None\nif packet.ifindex:\n    found = pair\nif found:\n    found.left = 1",
}

REJECTED = {
    "untested": "pair.left = 1  # None",
    "read": "number = pair.left  # None\nif number:\n    return XDP_DROP",
    "found_directly": "number = packet.read(Pair, 3).left  # None\nif number:\n    return XDP_DROP",
    "looked_up_directly": "number = pairs.lookup(7).left  # None\nif number:\n    return XDP_DROP",
    "number": "number = numbers.lookup(be16(1))\nnumber.value += 1  # None",
    "reserve": "event = events.reserve()\nevent.left = 1  # None",
    "in_place": "pair.left += 1  # None",
    "is_none": "if pair is None:\n    pass\npair.left = 1  # None",
    "not_none_else": "if pair is not None:\n    pass\nelse:\n    pass\npair.left = 1  # None",
    "wrong_truth": "if not pair:\n    pass\npair.left = 1  # None",
    "other_tested": "if other is not None:\n    pair.left = 1  # None",
    "or_operand": "if pair is not None or pair.left > 1:  # None\n    return XDP_DROP",
    "and_operand": "if pair is None and pair.left > 1:  # None\n    return XDP_DROP",
    "or_body": "if pair or other:\n    pair.left = 1  # None",
    "and_after": "if pair is None and other is None:\n    return XDP_DROP\npair.left = 1  # None",
    "not_and": "if not (pair and other):\n    pair.left = 1  # None",
    "used_before_and": "if pair.left and pair:  # None\n    return XDP_DROP",
    "walrus_after": "if found := packet.read(Pair, 3):\n    pass\nfound.left = 1  # None",
    "walrus_or": "if packet.ifindex or (pair := other) is None:\n    pair.left = 1  # None",
    "walrus_loop_after": "while found := packet.read(Pair, 3):\n    break\nfound.left = 1  # None",
    "expression": "number = 0 if pair else pair.left  # None\nif number:\n    return XDP_DROP",
    "one_way_returns": """\
if pair is None:
    if packet.ifindex:
        return XDP_DROP
pair.left = 1  # None""",
    "nullable_in_body": """\
if pair is None:
    return XDP_DROP
for _ in range(4):
    pair.left = 1  # None
    pair = packet.read(Pair, 3)""",
    "nullable_in_while": """\
if pair is None:
    return XDP_DROP
while packet.ifindex:
    pair.left = 1  # None
    pair = packet.read(Pair, 3)""",
    "nullable_after_loop": """\
if pair is None:
    return XDP_DROP
for _ in range(4):
    pair = packet.read(Pair, 3)
pair.left = 1  # None""",
    "nullable_by_continue": """\
if pair is None:
    return XDP_DROP
for _ in range(4):
    pair.left = 1  # None
    if packet.ifindex:
        pair = packet.read(Pair, 3)
        continue""",
    "after_break": """\
while pair is None:
    if packet.ifindex:
        break
    pair = packet.read(Pair, 3)
pair.left = 1  # None""",
    "assigned_again": "if pair:\n    pair = packet.read(Pair, 3)\n    pair.left = 1  # None",
    "one_branch_assigns": "if packet.ifindex:\n    pair = Pair()\npair.left = 1  # None",
    "argument": "if left_of(pair):  # None\n    return XDP_DROP",
    "result": "number = either(pair, other).left  # None\nif number:\n    return XDP_DROP",
}


def function(name: str, body: str) -> str:
    lines = [
        "pair = packet.read(Pair, 1)",
        "other = pairs.lookup(packet.ifindex)",
        *body.splitlines(),
        "return XDP_PASS",
    ]
    return f"@xdp\ndef {name}(packet: Xdp) -> int:\n" + "".join(f"    {line}\n" for line in lines)


PROGRAMS = {
    **{f"accepted_{name}": body for name, body in ACCEPTED.items()},
    **{f"rejected_{name}": body for name, body in REJECTED.items()},
}
TEXT = "\n\n".join([HEADER, *(function(name, body) for name, body in PROGRAMS.items())])
REFUSED = {number for number, line in enumerate(TEXT.splitlines(), 1) if line.endswith("# None")}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "programs.py"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def programs(path) -> dict[str, lang.Program]:
    spec = importlib.util.spec_from_file_location("programs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "programs", module)
        spec.loader.exec_module(module)
        return {name: getattr(module, name) for name in PROGRAMS}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("accepted")])
def test_accepted(programs, name):
    assert lower(programs[name]).functions


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("rejected")])
def test_rejected_for_none(programs, name):
    with pytest.raises(CompileError, match="None") as caught:
        lower(programs[name])
    assert caught.value.source.endswith("# None")


def run(directory: Path, tool: str, *options: str) -> str:
    command = [str(Path(sys.executable).parent / tool), *options]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # errors found, and no other trouble
    return done.stdout


def test_pyright_agrees(path):
    settings = {"typeCheckingMode": "strict", "include": [path.name], "reportUnusedVariable": False}
    (path.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    out = run(path.parent, "pyright", "--outputjson", "--pythonpath", sys.executable)
    found = [item for item in json.loads(out)["generalDiagnostics"] if item["severity"] == "error"]
    assert {item["range"]["start"]["line"] + 1 for item in found} == REFUSED


def test_mypy_agrees(path):
    out = run(
        path.parent,
        "mypy",
        "--strict",
        "--no-error-summary",
        "--python-executable",
        sys.executable,
        path.name,
    )
    found = re.findall(r"^\w+\.py:(\d+): error: (.*)", out, re.MULTILINE)
    assert {int(line) for line, _ in found} == REFUSED
