"""Functions: one `ir.Function` for each combination of argument types and static arguments that is called."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import FunctionType
from typing import Any, get_args, get_origin

from penstock.compiler import ir
from penstock.compiler.frontend.convert import constant, fit
from penstock.compiler.frontend.names import assigned_names, static_names
from penstock.compiler.frontend.scope import (
    EXPRESSIONS,
    NOT_IN_LANGUAGE,
    STATEMENTS,
    Scope,
    UnitBuilder,
    body,
    expression,
)
from penstock.compiler.frontend.source import Source, error_at, source_of
from penstock.compiler.frontend.values import (
    AnyArray,
    AnyPacket,
    Static,
    Value,
    annotated_type,
    default_int,
    describe,
    specialised,
)
from penstock.lang.program import Packet, Program, ProgramKind, Tc, Xdp
from penstock.lang.types import IntType, Type, i32, i64, u32

MAX_ARGUMENTS = 5  # registers r1 to r5 of the BPF calling convention


_ENTRIES: dict[ProgramKind, tuple[type[Packet] | None, Any]] = {
    ProgramKind.XDP: (Xdp, u32),
    ProgramKind.SCHED_CLS: (Tc, i32),
    ProgramKind.SYSCALL: (None, i32),
}
"""What each kind of program is given, and the integer that it returns."""


@dataclass(frozen=True)
class Parameter:
    """How one parameter of an instance is bound: to a type, or to a static value.

    `by_reference`: the kernel passes a pointer to it, and the function sees the value (keys of callbacks).
    """

    name: str
    bound: Type | Static
    by_reference: bool = False


def lower(program: Program) -> ir.Unit:
    """Compile a program's source to typed IR; CompileError at the first thing outside the language."""
    source = source_of(program.function)
    unit = ir.Unit(program.name, program.kind, functions=[], maps=[], map_names=[])
    builder = UnitBuilder(unit)
    packet, result = _ENTRIES[program.kind]
    names = [arg.arg for arg in source.tree.args.args]
    if len(names) != (packet is not None) or _hint(source, builder, "return") is not int:
        takes, parameter = ("one packet", f"packet: {packet.__name__}") if packet else ("nothing", "")
        raise source.error(
            source.tree, f"this program takes {takes} and returns int: def f({parameter}) -> int"
        )
    parameters = [Parameter(name, ir.ContextType(packet)) for name in names if packet]
    instantiate(builder, source, parameters, _int_type(result))
    return unit


def _int_type(kind: Any) -> IntType:
    return kind


def call_function(scope: Scope, node: ast.Call, function: FunctionType) -> Value:
    """Lower a call of a Python function of the program."""
    source = source_of(function)
    given = bind(scope, node, _parameter_names(scope, node, source), _defaults(function))
    parameters: list[Parameter] = []
    arguments: list[ir.Expr] = []
    for name, value in given.items():
        bound, argument = _bind_one(scope, node, source, name, value)
        parameters.append(Parameter(name, bound))
        arguments.extend([argument] if argument else [])
    instance = instantiate(
        scope.builder, source, parameters, _result_type(source, scope.builder), call=(scope, node)
    )
    return ir.Call(instance, arguments, loc=scope.loc(node), type=_call_type(instance, arguments))


def _call_type(instance: ir.Function, arguments: list[ir.Expr]) -> Type | None:
    """A reference that comes back may be one that went in."""
    kind = instance.result
    if isinstance(kind, ir.PointerType):
        local = any(isinstance(a.type, ir.PointerType) and a.type.local for a in arguments)
        return ir.PointerType(kind.to, nullable=kind.nullable, local=local)
    return kind


def _parameter_names(scope: Scope, node: ast.Call, source: Source) -> list[str]:
    args = source.tree.args
    if args.vararg or args.kwarg:
        raise scope.error(node, f"{source.tree.name} takes * arguments: not in the language")
    return [arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]]


def _defaults(function: FunctionType) -> dict[str, Any]:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    return {
        **dict(zip(positional[len(positional) - len(values) :], values, strict=True)),
        **(function.__kwdefaults__ or {}),
    }


def bind(scope: Scope, node: ast.Call, names: list[str], defaults: dict[str, Any]) -> dict[str, Value]:
    """Lower a call's arguments and give each parameter its own, in the order of the parameters."""
    given: dict[str, Value] = {}
    if len(node.args) > len(names):
        raise scope.error(
            node, f"{ast.unparse(node.func)} takes {len(names)} arguments, not {len(node.args)}"
        )
    for name, arg in zip(names, node.args, strict=False):
        given[name] = expression(scope, arg)
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in names or keyword.arg in given:
            raise scope.error(
                keyword.value, f"{ast.unparse(node.func)} has no (other) parameter {keyword.arg!r}"
            )
        given[keyword.arg] = expression(scope, keyword.value)
    missing = [name for name in names if name not in given and name not in defaults]
    if missing:
        raise scope.error(node, f"{ast.unparse(node.func)} also needs {', '.join(missing)}")
    return {name: given[name] if name in given else Static(defaults[name]) for name in names}


def _bind_one(
    scope: Scope, node: ast.Call, source: Source, name: str, value: Value
) -> tuple[Type | Static, ir.Expr | None]:
    hint = _hint(source, scope.builder, name)
    kind = annotated_type(hint)
    what = f"{name} of {source.tree.name}"
    if kind is None:
        if hint is int or not isinstance(value, Static):
            wanted = (
                "say which integer, e.g. u32"
                if hint is int
                else f"it is a constant of the compilation, this is {describe(value)}"
            )
            raise scope.error(node, f"{what}: {wanted}")
        return value, None
    if isinstance(kind, AnyPacket):
        if (
            isinstance(value, Static)
            or not isinstance(value.type, ir.ContextType)
            or not issubclass(value.type.of, kind.of)
        ):
            raise scope.error(node, f"{what} is {kind.name}, this is {describe(value)}")
        return value.type, value
    kind = kind if isinstance(value, Static) else specialised(kind, value.type)
    argument = fit(scope, node, value, kind, what)
    if isinstance(kind, ir.PointerType) and isinstance(kind.to, AnyArray):
        assert isinstance(argument.type, ir.PointerType)
        kind = ir.PointerType(argument.type.to)
    return kind, argument


def _hint(source: Source, builder: UnitBuilder, name: str) -> Any:
    """What a parameter, or `return`, is annotated with."""
    hint = source.function.__annotations__.get(name, MISSING)
    if hint is MISSING:
        what = "what it returns (None if nothing)" if name == "return" else f"the type of {name}"
        raise source.error(source.tree, f"{source.tree.name} must say {what}")
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, dict(static_names(source.function)))  # noqa: S307  # an annotation, as Python evaluates it
    except Exception as error:
        raise source.error(source.tree, f"{hint} is no type: {error}") from None


MISSING = object()


def _result_type(source: Source, builder: UnitBuilder) -> Type | None:
    hint = _hint(source, builder, "return")
    if hint is None:
        return None
    if get_origin(hint) is tuple:
        items = [annotated_type(item) for item in get_args(hint)]
        if all(items):
            return ir.TupleType(tuple(item for item in items if item))
    kind = annotated_type(hint)
    if (
        kind is None
        or isinstance(kind, AnyPacket)
        or (isinstance(kind, ir.PointerType) and isinstance(kind.to, AnyArray))
    ):
        advice = ": say which integer, e.g. u32" if hint is int else ""
        raise source.error(
            source.tree, f"{source.tree.name} cannot return {getattr(hint, '__name__', hint)}{advice}"
        )
    return kind


def instantiate(
    builder: UnitBuilder,
    source: Source,
    parameters: list[Parameter],
    result: Type | None,
    *,
    call: tuple[Scope, ast.AST] | None = None,
    callback: bool = False,
) -> ir.Function:
    """The function compiled for these parameters; lowered at its first use."""
    key = (source.function, callback, *(_identity(p.bound) for p in parameters))
    if key in builder.in_progress and call:
        raise call[0].error(call[1], f"{source.tree.name} calls itself: recursion is not in the language")
    if key in builder.instances:
        return builder.instances[key]
    subprogram = callback or hasattr(source.function, "__penstock_subprogram__")
    variables = [ir.Variable(p.name, _passed(p)) for p in parameters if not isinstance(p.bound, Static)]
    name = builder.unique_name(source.tree.name)
    function = ir.Function(name, variables, result, subprogram, source.loc(source.tree))
    if subprogram and not callback:
        _check_subprogram(source, function)
    builder.instances[key] = function
    builder.unit.functions.append(function)
    builder.in_progress.append(key)
    _lower_body(builder, source, parameters, function, result_any=callback or call is None)
    builder.in_progress.pop()
    return function


def _passed(parameter: Parameter) -> Type:
    assert isinstance(parameter.bound, Type)
    return ir.PointerType(parameter.bound) if parameter.by_reference else parameter.bound


def _identity(bound: Type | Static) -> Any:
    if isinstance(bound, Type):
        return bound
    try:
        hash(bound.value)
    except TypeError:
        return ("static", id(bound.value))
    return ("static", type(bound.value), bound.value)


def _check_subprogram(source: Source, function: ir.Function) -> None:
    if len(function.params) > MAX_ARGUMENTS:
        raise source.error(
            source.tree, f"a subprogram takes at most {MAX_ARGUMENTS} arguments, not {len(function.params)}"
        )
    if isinstance(function.result, ir.PointerType | ir.TupleType):
        raise source.error(source.tree, "a subprogram returns one number or nothing: leave it to be inlined")


def _lower_body(
    builder: UnitBuilder,
    source: Source,
    parameters: list[Parameter],
    function: ir.Function,
    *,
    result_any: bool,
) -> None:
    scope = Scope(builder, source, function, static_names(source.function), result_any=result_any)
    scope.local_names = assigned_names(source.tree)
    _check_syntax(scope, source.tree)
    variables = iter(function.params)
    for parameter in parameters:
        _enter(scope, parameter, variables)
    scope.out = function.body
    for parameter in parameters:
        if parameter.by_reference:
            _load(scope, parameter)
    body(scope, source.tree.body)
    if scope.env is None:
        return
    if function.result is not None:
        raise source.error(
            source.tree.body[-1], f"{source.tree.name} may end here without returning {function.result.name}"
        )
    scope.emit(ir.Return([], loc=source.loc(source.tree.body[-1])))


def _enter(scope: Scope, parameter: Parameter, variables: Any) -> None:
    assert scope.env is not None
    if isinstance(parameter.bound, Static):
        scope.env[parameter.name] = parameter.bound
        return
    variable = next(variables)
    scope.variables[parameter.name] = variable
    scope.env[parameter.name] = variable.type


def _load(scope: Scope, parameter: Parameter) -> None:
    assert isinstance(parameter.bound, Type)
    assert scope.env is not None
    loc = scope.function.loc
    pointer = scope.variables[parameter.name]
    scope.variables[parameter.name] = value = ir.Variable(parameter.name, parameter.bound)
    scope.env[parameter.name] = parameter.bound
    load = ir.Load(ir.Var(pointer, loc=loc, type=pointer.type), loc=loc, type=parameter.bound)
    scope.emit(ir.Assign(value, load, loc=loc))


def _check_syntax(scope: Scope, tree: ast.FunctionDef) -> None:
    """Refuse what is outside the language even where a static condition leaves it out."""
    for statement in tree.body:
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.stmt | ast.expr)
                and type(node) not in EXPRESSIONS
                and type(node) not in STATEMENTS
            ):
                if isinstance(node, ast.Tuple):  # has its places: unpacking, `in`, return
                    continue
                raise scope.error(
                    node, f"not in the language: {NOT_IN_LANGUAGE.get(type(node), type(node).__name__)}"
                )


def callback(
    scope: Scope, node: ast.AST, function: Any, hidden: list[Type], offered: list[Type]
) -> ir.Function:
    """Compile `function` as a callback of the kernel: `hidden` arguments first, then those it names."""
    if not isinstance(function, FunctionType):
        raise scope.error(node, "a callback is a Python function")
    source = source_of(function)
    names = [arg.arg for arg in source.tree.args.args]
    if len(names) != len(offered):
        raise scope.error(node, f"{source.tree.name} must take {len(offered)} arguments")
    parameters = [Parameter(f"_{n}", kind) for n, kind in enumerate(hidden)]
    for name, kind in zip(names, offered, strict=True):
        wanted = annotated_type(_hint(source, scope.builder, name))
        by_reference = isinstance(kind, ir.PointerType) and wanted == kind.to
        wanted = wanted and specialised(wanted, kind)
        if wanted is None or (wanted != kind and not by_reference):
            raise error_at(source.loc(source.tree), f"{name} of {source.tree.name} is given {kind.name}")
        parameters.append(Parameter(name, wanted, by_reference=by_reference and isinstance(wanted, IntType)))
    if _hint(source, scope.builder, "return") is not int:
        raise source.error(source.tree, "a callback returns int: 0 to go on, 1 to stop")
    return instantiate(scope.builder, source, parameters, _int_type(i64), call=(scope, node), callback=True)


__all__ = ["bind", "call_function", "callback", "constant", "default_int", "instantiate", "lower"]
