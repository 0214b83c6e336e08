"""Typed IR to LLVM IR (text), for the BPF target; one file per construct.

`module` puts a unit together, `builder` writes one function, the other files say how each node of
`penstock.compiler.ir` becomes instructions. To add a node, write a function for it in the file of its kind
and register it with `builder.expression` or `builder.statement`.
"""

from penstock.compiler.codegen.module import Assembly, emit

__all__ = ["Assembly", "emit"]
