"""Debug information, of which LLVM makes the line and function tables that the kernel takes (.BTF.ext)."""

from __future__ import annotations

import re

from penstock.compiler import ir
from penstock.compiler.btf import identifier
from penstock.compiler.failure import SourceOf, source_text


class DebugInfo:
    """Metadata nodes of one module. Only lines and function names: values are not described."""

    def __init__(self, source_of: SourceOf | None) -> None:
        self._source_of = source_of
        self._nodes: list[str] = []
        self._files: dict[str, str] = {}
        self._positions: dict[tuple[str, ir.Loc], str] = {}
        self._unit = ""
        integer = self._add('!DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)')
        types = self._add(f"!{{{integer}}}"), self._add("!{null}")
        self._returning, self._void = (self._add(f"!DISubroutineType(types: {t})") for t in types)

    def subprogram(self, function: ir.Function, *, entry: bool) -> str:
        """Describe a function; return its metadata node, the scope of its positions."""
        file, line = self._file(function.loc.file), function.loc.line
        if not self._unit:
            kind = "language: DW_LANG_C99, emissionKind: DebugDirectivesOnly"
            self._unit = self._add(f"distinct !DICompileUnit(file: {file}, {kind})")
        flags = "DISPFlagDefinition" if entry else "DISPFlagDefinition | DISPFlagLocalToUnit"
        kind = self._void if function.result is None else self._returning
        return self._add(
            f'distinct !DISubprogram(name: "{identifier(function.name)}", scope: {file}, file: {file}, '
            f"line: {line}, scopeLine: {line}, type: {kind}, spFlags: {flags}, unit: {self._unit})"
        )

    def position(self, scope: str, loc: ir.Loc) -> str:
        """Return what is appended to an instruction to give its place in the source."""
        key = (scope, loc)
        if key not in self._positions:
            node = self._add(f"!DILocation(line: {loc.line}, column: {loc.column}, scope: {scope})")
            self._positions[key] = f", !dbg {node}"
        return self._positions[key]

    def text(self) -> str:
        """Return all nodes and the module flags."""
        version = self._add('!{i32 2, !"Debug Info Version", i32 3}')
        named = f"!llvm.dbg.cu = !{{{self._unit}}}\n!llvm.module.flags = !{{{version}}}\n"
        return named + "".join(f"!{n} = {node}\n" for n, node in enumerate(self._nodes))

    def _file(self, path: str) -> str:
        if path not in self._files:
            name, source = _quote(path), _quote(source_text(path, self._source_of))
            self._files[path] = self._add(f'!DIFile(filename: {name}, directory: "", source: {source})')
        return self._files[path]

    def _add(self, node: str) -> str:
        self._nodes.append(node)
        return f"!{len(self._nodes) - 1}"


def _quote(text: str) -> str:
    """Return an LLVM string: anything but plain ASCII as hexadecimal digits."""
    return '"' + _SPECIAL.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    return "".join(f"\\{byte:02X}" for byte in found[0].encode("utf-8", "replace"))


_SPECIAL = re.compile(r"[^ !#-\[\]-~]")
