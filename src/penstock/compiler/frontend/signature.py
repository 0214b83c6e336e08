"""Arguments of calls: which goes to which parameter, and in which order they are evaluated."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.convert import settle
from penstock.compiler.frontend.scope import Scope, expression, hold
from penstock.compiler.frontend.source import Source
from penstock.compiler.frontend.values import Static, Value


@dataclass(frozen=True)
class Signature:
    """The parameters of what is called: the first `by_position` of them take arguments without a name."""

    names: tuple[str, ...]
    by_position: int
    unnamed: int = 0
    """So many from the first on cannot be given by name."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def after(self, count: int) -> Signature:
        """What is left when the first `count` parameters are given."""
        by_position, unnamed = (max(number - count, 0) for number in (self.by_position, self.unnamed))
        return Signature(self.names[count:], by_position, unnamed, self.defaults)


def signature_of(source: Source) -> Signature:
    """The signature of a function of the program."""
    args, function = source.tree.args, source.function
    positional = [arg.arg for arg in [*args.posonlyargs, *args.args]]
    values = function.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
    names = (*positional, *(arg.arg for arg in args.kwonlyargs))
    return Signature(
        names, len(positional), len(args.posonlyargs), {**defaults, **(function.__kwdefaults__ or {})}
    )


def bind(scope: Scope, node: ast.Call, signature: Signature) -> dict[str, Value]:
    """Lower a call's arguments and give each parameter its own, in the order of the parameters."""
    called, names = ast.unparse(node.func), signature.names
    if len(node.args) > signature.by_position:
        extra = node.args[signature.by_position]
        raise scope.error(extra, f"{called} takes {_count(signature.by_position)}, not {len(node.args)}")
    written = dict(zip(names, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in names[signature.unnamed :]:
            raise scope.error(keyword.value, f"{called} has no parameter {keyword.arg!r} to be named")
        if keyword.arg in written:
            raise scope.error(keyword.value, f"{called} is given {keyword.arg!r} twice")
        written[keyword.arg] = keyword.value
    missing = [name for name in names if name not in written and name not in signature.defaults]
    if missing:
        raise scope.error(node, f"{called} also needs {', '.join(missing)}")
    given = {name: expression(scope, arg) for name, arg in written.items()}
    return _in_order(scope, node, given, signature)


def _in_order(
    scope: Scope, node: ast.Call, given: dict[str, Value], signature: Signature
) -> dict[str, Value]:
    """Give the values in the order of the parameters, evaluated in the order in which they are written."""
    ordered = [name for name in signature.names if name in given]
    computed = [name for name, value in given.items() if _is_computed(value)]
    if computed != [name for name in ordered if name in computed]:
        held = {name: hold(name, settle(scope, node, given[name])) for name in computed}
        given |= {name: var for name, (_, var) in held.items()}
        first = next(name for name in ordered if name in held)
        value = held[first][1]
        assigns: list[ir.Stmt] = [assign for assign, _ in held.values()]
        given[first] = ir.Sequence(assigns, value, loc=value.loc, type=value.type)
    return {
        name: given[name] if name in given else Static(signature.defaults[name]) for name in signature.names
    }


def _is_computed(value: Value) -> bool:
    return not isinstance(value, Static) and not (
        isinstance(value, ir.Expr) and isinstance(value.type, ir.ContextType)
    )


def arguments(scope: Scope, node: ast.Call, *names: str, **defaults: Any) -> list[Value]:
    """Bind the arguments of something built in that has parameters with these names."""
    names = (*names, *defaults)
    return list(bind(scope, node, Signature(names, len(names), defaults=defaults)).values())


def positional(scope: Scope, node: ast.Call, count: int) -> list[Value]:
    """Lower the arguments of something built in that takes so many, by position only."""
    check_count(scope, node, count)
    return [expression(scope, arg) for arg in node.args]


def check_count(scope: Scope, node: ast.Call, count: int) -> None:
    """Refuse a call that has not so many arguments, all by position."""
    if node.keywords or len(node.args) != count:
        raise scope.error(node, f"{ast.unparse(node.func)} takes {_count(count)}")


def _count(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'} by position"
