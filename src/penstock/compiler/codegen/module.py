"""A whole unit as an LLVM module in text."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.compiler import ir
from penstock.compiler.codegen import arithmetic, calls, control, memory, packet
from penstock.compiler.codegen.builder import Builder
from penstock.compiler.codegen.debuginfo import DebugInfo
from penstock.compiler.failure import SourceOf
from penstock.compiler.target import TRIPLE
from penstock.lang.maps import MapSpec

MAP_SYMBOL, VALUE_SYMBOL, FUNCTION = "map.", "value.", "function."
"""Prefixes of symbols: a map and the value of a Global (the map's name follows), a function (its number)."""

# Inlined, and kept as functions. There is no library to call into, and no read-only data for tables.
ATTRIBUTES = (
    'attributes #0 = { alwaysinline nounwind "no-builtins" "no-jump-tables"="true" }\n'
    'attributes #1 = { noinline nounwind "no-builtins" "no-jump-tables"="true" }\n'
)

CONSTRUCTS = (arithmetic, calls, control, memory, packet)


@dataclass(frozen=True)
class Assembly:
    """The LLVM IR of a unit, the helpers (by number: name, first kernel) and kernel functions it calls."""

    unit: ir.Unit
    text: str
    helpers: dict[int, tuple[str, tuple[int, int]]]
    kfuncs: set[str]


def emit(unit: ir.Unit, source_of: SourceOf | None = None) -> Assembly:
    """Return the LLVM IR of `unit`, its entry function first.

    `source_of` gives the text of a source file where it is not on disk under its name. Raises CompileError
    for calls that need more registers than there are.
    """
    module = Module(unit, source_of)
    functions = "".join(_write(module, function) for function in unit.functions)
    head = "".join(f"{line}\n" for line in [f'target triple = "{TRIPLE}"', *module.declarations])
    text = head + functions + ATTRIBUTES + module.debug.text()
    return Assembly(unit, text, module.helpers, module.kfuncs)


def _write(module: Module, function: ir.Function) -> str:
    builder = Builder(module, function)
    builder.body()
    return builder.text()


class Module:
    """What the functions of a unit share."""

    def __init__(self, unit: ir.Unit, source_of: SourceOf | None) -> None:
        self.entry = unit.functions[0]
        self.source_of = source_of
        self.debug = DebugInfo(source_of)
        self.declarations: dict[str, None] = {}
        self.helpers: dict[int, tuple[str, tuple[int, int]]] = {}
        self.kfuncs: set[str] = set()
        self._maps = dict(zip(unit.maps, unit.map_names, strict=True))
        self._symbols = {function: f"@{FUNCTION}{n}" for n, function in enumerate(unit.functions)}

    def symbol(self, function: ir.Function) -> str:
        """Return the symbol of a function."""
        return self._symbols[function]

    def map(self, spec: MapSpec) -> str:
        """Return the symbol of a map."""
        symbol = f"@{MAP_SYMBOL}{self._maps[spec]}"
        self.declare(f"{symbol} = external global i8")
        return symbol

    def map_value(self, spec: MapSpec) -> str:
        """Return the symbol of the one value of a Global."""
        symbol, size = f"@{VALUE_SYMBOL}{self._maps[spec]}", spec.value_type.size if spec.value_type else 0
        self.declare(f"{symbol} = external global [{size} x i8], align 8")
        return symbol

    def declare(self, line: str) -> None:
        """Add a declaration, once."""
        self.declarations[line] = None
