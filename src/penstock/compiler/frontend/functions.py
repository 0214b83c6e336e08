"""Functions: one `ir.Function` for each combination of argument types and static arguments that is called."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, Final, Literal, get_args, get_origin

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.scope import Scope, UnitBuilder, body
from penstock.compiler.frontend.signature import bind, signature_of
from penstock.compiler.frontend.source import Source
from penstock.compiler.frontend.values import (
    I32,
    I64,
    U32,
    AnyArray,
    AnyPacket,
    Static,
    Value,
    annotated_type,
    describe,
    is_scalar,
    specialised,
)
from penstock.compiler.target import MAX_ARGUMENTS
from penstock.lang.program import Packet, Program, ProgramKind, Tc, Xdp
from penstock.lang.types import IntType, Type

_ENTRIES: Final[dict[ProgramKind, tuple[type[Packet] | None, IntType]]] = {
    ProgramKind.XDP: (Xdp, U32),
    ProgramKind.SCHED_CLS: (Tc, I32),
    ProgramKind.SYSCALL: (None, I32),
}
"""What each kind of program is given, and the integer that it returns."""


MAX_DEPTH: Final = 8
"""How often one function may be on the way to itself, with other static arguments each time."""


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
    linecache.checkcache()
    builder = UnitBuilder(ir.Unit(program.name, program.kind, functions=[], maps=[], map_names=[]))
    source = builder.source(program.function)
    packet, result = _ENTRIES[program.kind]
    names = signature_of(source).names
    hints = [annotated_type(source.hint(name)) for name in names]
    fitting = [isinstance(hint, AnyPacket) and packet and issubclass(packet, hint.of) for hint in hints]
    if fitting != [True] * (packet is not None) or source.hint("return") is not int:
        takes, parameter = ("one packet", f"packet: {packet.__name__}") if packet else ("nothing", "")
        raise source.error(
            source.tree, f"this program takes {takes} and returns int: def {source.name}({parameter}) -> int"
        )
    parameters = [Parameter(name, ir.ContextType(packet)) for name in names if packet]
    _instantiate(builder, source, parameters, result, result_any=True)
    return builder.unit


def call_function(scope: Scope, node: ast.Call, function: FunctionType, *owner: object) -> Value:
    """Lower a call of a Python function of the program, or of a method of `owner`."""
    source = scope.builder.source(function)
    signature = signature_of(source)
    parameters = [Parameter(name, Static(value)) for name, value in zip(signature.names, owner, strict=False)]
    arguments: list[ir.Expr] = []
    for name, value in bind(scope, node, signature.after(len(parameters))).items():
        bound = _bind_one(scope, node, source, name, value)
        if isinstance(bound, ir.Expr):
            arguments.append(bound)
        parameters.append(Parameter(name, _bound_type(source, name, bound)))
    _check_recursion(scope, node, source, parameters)
    instance = _instantiate(scope.builder, source, parameters, _result_type(source))
    return ir.Call(instance, arguments, loc=scope.loc(node), type=_call_type(instance.result, arguments))


def call_accessor(
    scope: Scope, node: ast.AST, function: FunctionType, owner: ir.Expr, *given: Value
) -> ir.Call:
    """Lower a call of a property's function: it takes a reference to a Struct, and what is to be written."""
    source = scope.builder.source(function)
    assert isinstance(owner.type, ir.PointerType)
    name, *others = signature_of(source).names
    parameters = [Parameter(name, replace(owner.type, storages=frozenset()))]
    arguments = [owner]
    for other, value in zip(others, given, strict=True):
        bound = _bind_one(scope, node, source, other, value)
        parameters.append(Parameter(other, _bound_type(source, other, bound)))
        arguments += [bound] if isinstance(bound, ir.Expr) else []
    _check_recursion(scope, node, source, parameters)
    instance = _instantiate(scope.builder, source, parameters, _result_type(source))
    return ir.Call(instance, arguments, loc=scope.loc(node), type=_call_type(instance.result, arguments))


def _bind_one(scope: Scope, node: ast.AST, source: Source, name: str, value: Value) -> Static | ir.Expr:
    """An argument as the parameter takes it."""
    hint = source.hint(name)
    kind = annotated_type(hint)
    what = f"{name} of {source.name}"
    if kind is None:
        if hint is int:
            raise scope.error(node, f"{what}: say which integer, e.g. u32")
        if not isinstance(value, Static):
            raise scope.error(node, f"{what} is a constant of the compilation, this is {describe(value)}")
        return value
    if isinstance(kind, AnyPacket):
        return packet_argument(scope, node, value, kind, what)
    return fit(
        scope, node, value, specialised(kind, value.type if isinstance(value, ir.Expr) else None), what
    )


def packet_argument(scope: Scope, node: ast.AST, value: Value, kind: AnyPacket, what: str) -> ir.Expr:
    """`value`, if it is the packet, and of a class that the parameter takes."""
    if not isinstance(value, ir.Expr) or not isinstance(value.type, ir.ContextType):
        raise scope.error(node, f"{what} is {kind}, this is {describe(value)}")
    if not issubclass(value.type.of, kind.of):
        raise scope.error(node, f"{what} is {kind}, this is {value.type}")
    return value


def _bound_type(source: Source, name: str, bound: Static | ir.Expr) -> Type | Static:
    """What an instance of the function knows of a parameter."""
    if isinstance(bound, Static):
        return bound
    assert bound.type is not None
    if isinstance(bound.type, ir.PointerType):
        kind = annotated_type(source.hint(name))
        assert isinstance(kind, ir.PointerType)
        return replace(bound.type, nullable=kind.nullable, storages=frozenset())
    return bound.type


def _call_type(result: Type | None, arguments: list[ir.Expr]) -> Type | None:
    """A reference that comes back may be one that went in."""
    if isinstance(result, ir.TupleType):
        return ir.TupleType(tuple(_came_back(item, arguments) for item in result.items))
    return result and _came_back(result, arguments)


def _came_back(kind: Type, arguments: list[ir.Expr]) -> Type:
    if not isinstance(kind, ir.PointerType):
        return kind
    given = [argument.type for argument in arguments if isinstance(argument.type, ir.PointerType)]
    storages = frozenset[ir.Storage]().union(*(pointer.storages for pointer in given))
    return replace(kind, local=any(pointer.local for pointer in given), storages=storages)


def _result_type(source: Source) -> Type | None:
    hint = source.hint("return")
    if hint is None:
        return None
    if get_origin(hint) is tuple:
        return ir.TupleType(tuple(_single_result(source, item) for item in get_args(hint)))
    return _single_result(source, hint)


def _single_result(source: Source, hint: Any) -> Type:
    kind = annotated_type(hint)
    if is_scalar(kind) or (isinstance(kind, ir.PointerType) and not isinstance(kind.to, AnyArray)):
        return kind
    advice = ": say which integer, e.g. u32" if hint is int else ""
    name = getattr(hint, "__name__", hint)
    raise source.error(source.tree.returns or source.tree, f"{source.name} cannot return {name}{advice}")


def _check_recursion(scope: Scope, node: ast.AST, source: Source, parameters: list[Parameter]) -> None:
    """With other static arguments it is another function: methods may call those of the objects they hold."""
    calls = [called for function, *called in scope.builder.in_progress if function is source.function]
    if parameters in calls or len(calls) >= MAX_DEPTH:
        raise scope.error(node, f"{source.name} calls itself: there is no recursion, use a loop")


def _instantiate(
    builder: UnitBuilder,
    source: Source,
    parameters: list[Parameter],
    result: Type | None,
    *,
    result_any: bool = False,
    callback: bool = False,
) -> ir.Function:
    """The function compiled for these parameters; lowered at its first use."""
    key = (source.function, callback, *parameters)
    if key in builder.instances:
        return builder.instances[key]
    variables = [ir.Variable(p.name, _passed(p)) for p in parameters if not isinstance(p.bound, Static)]
    marked: Literal[False, True, "alone"] = getattr(source.function, "__penstock_subprogram__", False)
    name = builder.unique_name(source.name)
    function = ir.Function(name, variables, result, bool(marked) or callback, source.loc(source.tree))
    if marked:
        function.alone = marked == "alone"
        _check_subprogram(source, function)
    builder.instances[key] = function
    builder.unit.functions.append(function)
    builder.in_progress.append((source.function, *parameters))
    _lower_body(Scope(builder, source, function, result_any=result_any), parameters)
    builder.in_progress.pop()
    return function


def _passed(parameter: Parameter) -> Type:
    assert isinstance(parameter.bound, Type)
    return ir.PointerType(parameter.bound) if parameter.by_reference else parameter.bound


def _check_subprogram(source: Source, function: ir.Function) -> None:
    if (count := len(function.params)) > MAX_ARGUMENTS:
        message = f"a subprogram takes at most {MAX_ARGUMENTS} arguments, not {count}: put them into a struct"
        raise source.error(source.tree, message)
    if isinstance(function.result, ir.PointerType | ir.TupleType):
        raise source.error(source.tree, "a subprogram returns one number or nothing: leave it to be inlined")
    if not function.alone:
        return
    if function.result is None:
        raise source.error(source.tree, "a global subprogram returns a number")
    if pointer := next((p for p in function.params if not is_scalar(p.type)), None):
        raise source.error(
            source.definition.arguments[pointer.name], "a global subprogram takes numbers only"
        )


def _lower_body(scope: Scope, parameters: list[Parameter]) -> None:
    source, function = scope.source, scope.function
    scope.out = function.body
    variables = iter(function.params)
    for parameter in parameters:
        _enter(scope, parameter, variables)
    body(scope, source.tree.body)
    if scope.env is None:
        return
    last = source.tree.body[-1]
    if function.result is not None:
        raise source.error(last, f"{source.name} may end here without returning {function.result}")
    scope.emit(ir.Return([], loc=source.loc(last)))


def _enter(scope: Scope, parameter: Parameter, variables: Iterator[ir.Variable]) -> None:
    """Make a parameter known in its function; one that comes by reference is read at once."""
    name, bound = parameter.name, parameter.bound
    scope.know(name, bound)
    if isinstance(bound, Static):
        return
    scope.declared[name] = bound
    scope.variables[name] = variable = next(variables)
    if parameter.by_reference:
        loc = scope.function.loc
        scope.variables[name] = ir.Variable(name, bound)
        load = ir.Load(ir.Var(variable, loc=loc, type=variable.type), loc=loc, type=bound)
        scope.emit(ir.Assign(scope.variables[name], load, loc=loc))


def _offered(source: Source, name: str, kind: Type) -> Parameter:
    """A parameter of a callback, which the kernel gives a `kind`."""
    wanted = annotated_type(source.hint(name))
    if wanted and isinstance(kind, ir.PointerType) and wanted == kind.to:
        return Parameter(name, wanted, by_reference=True)
    if wanted and specialised(wanted, kind) == kind:
        return Parameter(name, kind)
    raise source.error(source.definition.arguments[name], f"{name} of {source.name} is given {kind}")


def callback(
    scope: Scope, node: ast.AST, function: Any, hidden: list[Type], offered: list[Type]
) -> ir.Function:
    """Compile `function` as a callback of the kernel: `hidden` arguments first, then those it names."""
    if not isinstance(function, FunctionType):
        raise scope.error(node, "a callback is a function of the program")
    source = scope.builder.source(function)
    names = signature_of(source).names
    if len(names) != len(offered):
        raise scope.error(node, f"{source.name} must take {len(offered)} arguments, not {len(names)}")
    parameters = [Parameter("", kind) for kind in hidden]
    parameters += [_offered(source, name, kind) for name, kind in zip(names, offered, strict=True)]
    if source.hint("return") is not int:
        raise source.error(source.tree, "a callback returns int: 0 to go on, 1 to stop")
    _check_recursion(scope, node, source, parameters)
    return _instantiate(scope.builder, source, parameters, I64, result_any=True, callback=True)
