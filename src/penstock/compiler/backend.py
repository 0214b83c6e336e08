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

from penstock.compiler.codegen.module import TRIPLE
from penstock.compiler.ir import Loc

llvm: Any = llvmlite.binding

CPU = "v3"
"""Instruction set: v3 has 32-bit arithmetic and comparisons (Linux 5.1)."""

OPTIONS = (
    "-bpf-stack-size=1048576",  # measured in the object code instead
    "-disable-loop-idiom-all",  # loops that fill or copy stay loops: there is no memset to call
    "-replexitval=never",  # a sum over a range stays a loop: its closed form multiplies 128 bits
)

# What the code generator would turn into calls to a library that BPF has not: products and quotients wider
# than 64 bits, also in tests for overflow, and signed division, which v3 lacks.
_LIBRARY_CALL = re.compile(
    r"^.* (?:(?P<wide>(?:mul|[us]div|[us]rem)(?: nuw| nsw| exact)* i(?:6[5-9]|[7-9]\d|\d{3,}))"
    r"|(?P<overflow>call [^@]*@llvm\.[us]mul\.with\.overflow\.i64)"
    r"|(?P<signed>s(?:div|rem)(?: exact)* i\d+)) .*$",
    re.MULTILINE,
)


class LibraryCallError(Exception):
    """The program needs something that BPF has no instruction for; `place` is where, if known."""

    def __init__(self, message: str, place: Loc | None) -> None:
        super().__init__(message)
        self.place = place


def object_code(assembly: str) -> bytes:
    """Optimise LLVM IR and return it as an ELF object of BPF instructions.

    Raises LibraryCallError.
    """
    machine = _machine()
    module = llvm.parse_assembly(assembly)
    builder = llvm.create_pass_builder(machine, _tuning())
    builder.getModulePassManager().run(module, builder)
    _refuse_library_calls(str(module))
    return machine.emit_object(module)


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


def _refuse_library_calls(optimised: str) -> None:
    found = _LIBRARY_CALL.search(optimised)
    if found is None:
        return
    if found["signed"]:
        message = "a signed division was left, which BPF lacks: divide unsigned numbers"
    else:
        message = (
            "this needs a product of 128 bits, which BPF lacks: test for overflow before multiplying "
            "(a > limit // b), not after"
        )
    raise LibraryCallError(message, _place(optimised, found[0]))


def _place(optimised: str, instruction: str) -> Loc | None:
    """Return where in the source an instruction of the optimised IR comes from."""

    def node(text: str, reference: str, pattern: str) -> re.Match[str] | None:
        number = re.search(rf"{reference} !(\d+)", text)
        return number and re.search(rf"^!{number[1]} = .*{pattern}.*$", optimised, re.MULTILINE)

    position = node(instruction, "!dbg", r"DILocation\(line: (\d+), column: (\d+)")
    scope = position and node(position[0], "scope:", r"DISubprogram")
    file = scope and node(scope[0], "file:", r'DIFile\(filename: "([^"]*)"')
    return Loc(file[1], int(position[1]), int(position[2])) if file and position else None
