"""An ELF object of BPF code as a ProgramSpec: what is still open in the code, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.compiler.btfext import read_func_info, read_line_info, source_lines
from penstock.compiler.codegen.module import FUNCTION, MAP_SYMBOL, VALUE_SYMBOL, Assembly
from penstock.compiler.elf import Object, Patch
from penstock.compiler.failure import SourceOf, compile_error
from penstock.compiler.instructions import INSTRUCTION, Code, called_helpers, stack_use
from penstock.compiler.spec import ProgramSpec, Relocation, RelocationKind
from penstock.compiler.target import STACK_LIMIT

if TYPE_CHECKING:
    from penstock.compiler import ir

# Relocation types of the BPF ABI (https://docs.kernel.org/bpf/llvm_reloc.html): of ld_imm64, and of calls.
R_BPF_64_64, R_BPF_64_32 = 1, 10

PSEUDO_CALL, PSEUDO_FUNC = 1, 4
"""BPF_PSEUDO_ values of include/uapi/linux/bpf.h, in the src_reg of a call and of an ld_imm64."""


def program_spec(assembly: Assembly, data: bytes, source_of: SourceOf | None = None) -> ProgramSpec:
    """Return the spec of the unit that `assembly` was made from; `data` is its object file.

    Raises CompileError if a function needs more stack than there is, or calls what does not exist.
    """
    unit, file = assembly.unit, Object(data)
    code = Code(bytearray(file.section(".text")), file.order)
    _check_stack(unit, file, code, source_of)
    links = Links(unit, code)
    for patch in file.patches(".text"):
        if file.section_name(patch.symbol) not in ("", ".text"):
            message = f"{unit.name} needs a table of constants that LLVM made: report this program"
            raise compile_error(message, unit.functions[0].loc, source_of)
        links.resolve(patch)
    if strange := set(links.kfuncs) - assembly.kfuncs:
        message = f"{unit.name} needs {', '.join(strange)}, a library function that BPF lacks"
        raise compile_error(message, unit.functions[0].loc, source_of)
    btf, line_info = file.section(".BTF"), read_line_info(file)
    return ProgramSpec(
        name=unit.name,
        kind=unit.kind,
        code=bytes(code.data),
        maps=tuple(unit.maps),
        map_names=tuple(unit.map_names),
        kfuncs=tuple(links.kfuncs),
        relocations=tuple(links.relocations),
        btf=btf,
        func_info=read_func_info(file),
        line_info=line_info,
        lines=source_lines(line_info, btf, file.order),
        helpers=tuple(assembly.helpers[number] for number in called_helpers(code)),
    )


class Links:
    """Completes the code where everything is known, and lists what the kernel's side has to fill in."""

    def __init__(self, unit: ir.Unit, code: Code) -> None:
        self.code = code
        self.relocations: list[Relocation] = []
        self.kfuncs: list[str] = []
        self._maps = {name: n for n, name in enumerate(unit.map_names)}

    def resolve(self, patch: Patch) -> None:
        """Complete one instruction, or list it."""
        at, name = patch.offset // INSTRUCTION, patch.symbol.name
        if patch.symbol.section:
            self._link(at, patch)
        elif patch.kind == R_BPF_64_32:
            if name not in self.kfuncs:
                self.kfuncs.append(name)
            self._open(at, RelocationKind.KFUNC, self.kfuncs.index(name))
        elif name.startswith(MAP_SYMBOL):
            self._open(at, RelocationKind.MAP, self._maps[name.removeprefix(MAP_SYMBOL)])
        else:
            self._open(at, RelocationKind.MAP_VALUE, self._maps[name.removeprefix(VALUE_SYMBOL)])

    def _link(self, at: int, patch: Patch) -> None:
        """Point to a function of the program; calls count instructions from here, addresses bytes."""
        start, addend = patch.symbol.value // INSTRUCTION, self.code.immediate(at)
        if patch.kind == R_BPF_64_32:
            self.code.complete(at, PSEUDO_CALL, start + addend - at)
        else:
            self.code.complete(at, PSEUDO_FUNC, start + addend // INSTRUCTION - at - 1)

    def _open(self, at: int, kind: RelocationKind, target: int) -> None:
        self.code.complete(at, 0, 0)
        self.relocations.append(Relocation(at, kind, target))


def _check_stack(unit: ir.Unit, file: Object, code: Code, source_of: SourceOf | None) -> None:
    starts = sorted((s.value // INSTRUCTION, s.name) for s in file.symbols if s.name.startswith(FUNCTION))
    uses = stack_use(code, [start for start, _ in starts])
    for (_, name), use in zip(starts, uses, strict=True):
        if use > STACK_LIMIT:
            function = unit.functions[int(name.removeprefix(FUNCTION))]
            message = (
                f"{function.name}, with what is inlined in it, needs {use} bytes of stack of {STACK_LIMIT}: "
                "keep large structs and arrays in a PerCpuArray"
            )
            raise compile_error(message, function.loc, source_of)
