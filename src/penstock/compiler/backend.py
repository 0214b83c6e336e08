"""LLVM IR to BPF object code, by LLVM itself.

LLVM reports what BPF cannot do by ending the process, and llvmlite has no way to catch that. So nothing that
it would report may reach its code generator: calls are checked when they are emitted, library calls are found
in the optimised IR, and the stack is measured in the object code.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import llvmlite.binding

from penstock.compiler.codegen import Assembly
from penstock.compiler.failure import SourceOf, compile_error
from penstock.compiler.ir import Loc
from penstock.compiler.target import CPU, OPTIONS, TRIPLE

llvm: Any = llvmlite.binding

# What the code generator would turn into calls to a library that BPF has not: products and quotients wider
# than 64 bits, also in tests for overflow, and signed division, which v3 lacks.
_LIBRARY_CALL = re.compile(
    r"^.*\b(?:(?P<wide>(?:mul|[us]div|[us]rem)(?: nuw| nsw| exact)* i(?:6[5-9]|[7-9]\d|\d{3,}))"
    r"|(?P<overflow>call .*@llvm\.[us]mul\.with\.overflow\.i64)"
    r"|(?P<signed>s(?:div|rem)(?: exact)? i\d+))\b.*$",
    re.MULTILINE,
)


_CTTZ = re.compile(
    r"^ *(?P<result>%\S+) = .*?call .*?(?P<kind>i\d+) @llvm\.cttz\.i\d+\(i\d+ (?P<of>[^,]+), i1 \w+\)"
    r"(?P<debug>, !dbg !\d+)?.*$",
    re.MULTILINE,
)

_WIDE = (
    "this needs a product of 128 bits, which BPF lacks: test for overflow before multiplying, "
    "a > limit // b, not after"
)
_SIGNED = "a signed division was left, which BPF lacks: divide unsigned numbers"


def object_code(assembly: Assembly, source_of: SourceOf | None = None) -> bytes:
    """Optimise LLVM IR and return it as an ELF object of BPF instructions.

    Raises CompileError for what needs a library.
    """
    machine = _machine()
    module = llvm.parse_assembly(assembly.text)
    builder = llvm.create_pass_builder(machine, _tuning())
    builder.getModulePassManager().run(module, builder)
    optimised = str(module)
    if found := _LIBRARY_CALL.search(optimised):
        place = _place(optimised, found[0]) or assembly.unit.functions[0].loc
        raise compile_error(_SIGNED if found["signed"] else _WIDE, place, source_of)
    if _CTTZ.search(optimised):
        module = llvm.parse_assembly(_without_cttz(optimised))
    return machine.emit_object(module)


def _without_cttz(optimised: str) -> str:
    """Count trailing zeros as the ones of ~x & (x - 1): LLVM would look them up in a table of constants."""
    kinds = {found["kind"] for found in _CTTZ.finditer(optimised)}
    declared = [f"declare {kind} @llvm.ctpop.{kind}({kind})" for kind in sorted(kinds)]
    missing = [each for each in declared if each not in optimised]
    return "\n".join([_CTTZ.sub(_trailing_zeros, optimised), *missing])


def _trailing_zeros(found: re.Match[str]) -> str:
    result, kind, of, debug = found["result"], found["kind"], found["of"], found["debug"] or ""
    name = f"%cttz.{result[1:]}"
    return "\n".join(
        (
            f"  {name}.below = add {kind} {of}, -1{debug}",
            f"  {name}.not = xor {kind} {of}, -1{debug}",
            f"  {name}.ones = and {kind} {name}.below, {name}.not{debug}",
            f"  {result} = call {kind} @llvm.ctpop.{kind}({kind} {name}.ones){debug}",
        )
    )


@cache
def _machine() -> Any:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    for option in OPTIONS:
        llvm.set_option("penstock", option)
    target = llvm.Target.from_triple(TRIPLE)
    return target.create_target_machine(cpu=CPU, opt=2)


def _tuning() -> Any:
    """Optimise as `-O2`, except that loops stay as they are: the verifier walks them, and code is counted."""
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = options.loop_interleaving = False
    options.loop_vectorization = options.slp_vectorization = False
    return options


def _place(optimised: str, instruction: str) -> Loc | None:
    """Return where in the source an instruction of the optimised IR comes from."""

    def node(text: str, reference: str, pattern: str) -> re.Match[str] | None:
        number = re.search(rf"{reference} !(\d+)", text)
        return number and re.search(rf"^!{number[1]} = .*{pattern}.*$", optimised, re.MULTILINE)

    position = node(instruction, "!dbg", r"DILocation\(line: (\d+), column: (\d+)")
    scope = position and node(position[0], "scope:", r"DISubprogram")
    file = scope and node(scope[0], "file:", r'DIFile\(filename: "([^"]*)"')
    return Loc(file[1], int(position[1]), int(position[2])) if file and position else None
