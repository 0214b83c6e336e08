"""Debug information, of which LLVM makes the line and function tables that the kernel takes (.BTF.ext)."""

from __future__ import annotations

import re

from penstock.compiler import ir
from penstock.compiler.btf import identifier
from penstock.compiler.failure import SourceOf, source_text


class DebugInfo:
    """Metadata nodes of one module: lines and functions. Parameters only where the verifier needs them."""

    def __init__(self, source_of: SourceOf | None) -> None:
        self._source_of = source_of
        self._nodes: list[str] = []
        self._files: dict[str, str] = {}
        self._positions: dict[tuple[str, ir.Loc], str] = {}
        self._unit = ""
        self._integer = self._add('!DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)')
        self._types: dict[tuple[bool, int], str] = {}

    def subprogram(self, function: ir.Function, *, entry: bool) -> str:
        """Describe a function; return its metadata node, the scope of its positions."""
        file, line = self._file(function.loc.file), function.loc.line
        if not self._unit:
            kind = "language: DW_LANG_C99, emissionKind: DebugDirectivesOnly"
            self._unit = self._add(f"distinct !DICompileUnit(file: {file}, {kind})")
        outside = entry or function.alone
        flags = "DISPFlagDefinition" if outside else "DISPFlagDefinition | DISPFlagLocalToUnit"
        params = function.params if function.alone else []
        kind = self._type(returns=function.result is not None, count=len(params))
        retained = self._parameters([param.name for param in params], file, line)
        return self._add(
            f'distinct !DISubprogram(name: "{identifier(function.name)}", scope: {file}, file: {file}, '
            f"line: {line}, scopeLine: {line}, type: {kind}, spFlags: {flags}, unit: {self._unit}"
            f"{retained})"
        )

    def _type(self, *, returns: bool, count: int) -> str:
        """Describe what a function returns, and that it takes so many numbers."""
        if (returns, count) not in self._types:
            items = ", ".join([self._integer if returns else "null", *[self._integer] * count])
            types = self._add(f"!{{{items}}}")
            self._types[returns, count] = self._add(f"!DISubroutineType(types: {types})")
        return self._types[returns, count]

    def _parameters(self, names: list[str], file: str, line: int) -> str:
        """Name the parameters of the function that is described after the next node."""
        if not names:
            return ""
        scope = f"!{len(self._nodes) + len(names) + 1}"
        nodes = [
            self._add(
                f'!DILocalVariable(name: "{identifier(name)}", arg: {n}, scope: {scope}, file: {file}, '
                f"line: {line}, type: {self._integer})"
            )
            for n, name in enumerate(names, 1)
        ]
        retained = self._add("!{" + ", ".join(nodes) + "}")
        return f", retainedNodes: {retained}"

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
