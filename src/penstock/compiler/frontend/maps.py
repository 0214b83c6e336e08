"""What programs do with maps: each method is one kernel helper."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit
from penstock.compiler.frontend.functions import callback
from penstock.compiler.frontend.packets import unsigned
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.signature import arguments
from penstock.compiler.frontend.storage import in_memory
from penstock.compiler.frontend.values import I64, U64, MapType, Static, Value, describe
from penstock.lang import maps
from penstock.lang.maps import MapSpec, RingBuf
from penstock.lang.types import Type

Method: TypeAlias = Callable[[Scope, ast.Call, Any, ir.Expr], Value]
MAP_METHODS: Final[dict[tuple[type[MapSpec], str], Method]] = {}


class Helper(NamedTuple):
    """A kernel helper: its name, number, and the kernel that brought it."""

    name: str
    number: int
    since: tuple[int, int]


_LOOKUP, _UPDATE = Helper("map_lookup_elem", 1, (3, 19)), Helper("map_update_elem", 2, (3, 19))
_DELETE, _FOR_EACH = Helper("map_delete_elem", 3, (3, 19)), Helper("for_each_map_elem", 164, (5, 13))
_REDIRECT = Helper("redirect_map", 51, (4, 14))
_SUBMIT, _DISCARD = Helper("ringbuf_submit", 132, (5, 8)), Helper("ringbuf_discard", 133, (5, 8))
_QUERY = Helper("ringbuf_query", 134, (5, 8))


def _method(kind: type[MapSpec], name: str) -> Callable[[Method], Method]:
    """Register what a method of a kind of map is lowered to."""

    def register(method: Method) -> Method:
        MAP_METHODS[kind, name] = method
        return method

    return register


def _call(
    scope: Scope, node: ast.AST, helper: Helper, arguments: list[ir.Expr], result: Type | None
) -> ir.Expr:
    name, number, since = helper
    return ir.HelperCall(name, number, since, arguments, loc=scope.loc(node), type=result)


def _key(scope: Scope, node: ast.Call, spec: MapSpec, key: Value, what: str = "key") -> ir.Expr:
    assert spec.key_type is not None
    return in_memory(scope, node, key, spec.key_type, what)


def _lookup(what: str, scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    (key,) = arguments(scope, node, what)
    found = MapType(spec.inner) if spec.inner else spec.value_type
    result = ir.PointerType(found, nullable=True)
    return _call(scope, node, _LOOKUP, [address, _key(scope, node, spec, key, what)], result)


MAP_METHODS[maps.KeyedSpec, "lookup"] = partial(_lookup, "key")
MAP_METHODS[maps.IndexedSpec, "lookup"] = MAP_METHODS[maps.ArrayOfMaps, "lookup"] = partial(_lookup, "index")


@_method(maps.KeyedSpec, "update")
def _update(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    key, value, flags = arguments(scope, node, "key", "value", flags=0)
    assert spec.value_type is not None
    given = [
        _key(scope, node, spec, key),
        in_memory(scope, node, value, spec.value_type, "value"),
        fit(scope, node, flags, U64, "flags"),
    ]
    return _call(scope, node, _UPDATE, [address, *given], I64)


@_method(maps.KeyedSpec, "delete")
def _delete(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    (key,) = arguments(scope, node, "key")
    return _call(scope, node, _DELETE, [address, _key(scope, node, spec, key)], I64)


@_method(maps.KeyedSpec, "for_each")
@_method(maps.IndexedSpec, "for_each")
def _for_each(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    function, state = arguments(scope, node, "callback", "state")
    if not isinstance(state, ir.Expr) or not isinstance(state.type, ir.PointerType) or state.type.nullable:
        raise scope.error(node, f"the state is a struct, this is {describe(state)}")
    entry = [ir.PointerType(spec.key_type), ir.PointerType(spec.value_type)]
    offered: list[Type] = [*entry, ir.PointerType(state.type.to, local=state.type.local)]
    called = function.value if isinstance(function, Static) else None
    target = callback(scope, node, called, [ir.PointerType(None)], offered)
    loc = scope.loc(node)
    pointer = ir.FunctionAddress(target, loc=loc, type=ir.PointerType(None))
    flags = ir.Const(0, loc=loc, type=U64)
    return _call(scope, node, _FOR_EACH, [address, pointer, state, flags], I64)


@_method(RingBuf, "reserve")
def _reserve(scope: Scope, node: ast.Call, spec: RingBuf[Any], _address: ir.Expr) -> Value:
    arguments(scope, node)
    return ir.RingReserve(spec, loc=scope.loc(node), type=ir.PointerType(spec.record_type, nullable=True))


def _finish(helper: Helper, scope: Scope, node: ast.Call, spec: RingBuf[Any], _address: ir.Expr) -> Value:
    record, flags = arguments(scope, node, "record", flags=0)
    pointer = fit(scope, node, record, ir.PointerType(spec.record_type), "record")
    return _call(scope, node, helper, [pointer, fit(scope, node, flags, U64, "flags")], None)


MAP_METHODS[RingBuf, "submit"] = partial(_finish, _SUBMIT)
MAP_METHODS[RingBuf, "discard"] = partial(_finish, _DISCARD)


@_method(RingBuf, "query")
def _query(scope: Scope, node: ast.Call, _spec: RingBuf[Any], address: ir.Expr) -> Value:
    (what,) = arguments(scope, node, "what")
    return _call(scope, node, _QUERY, [address, fit(scope, node, what, U64, "what")], U64)


@_method(maps.DevMap, "redirect")
def _redirect(scope: Scope, node: ast.Call, _spec: MapSpec, address: ir.Expr) -> Value:
    index, flags = arguments(scope, node, "index", flags=0)
    where = unsigned(scope, node, index, "an index")
    return _call(scope, node, _REDIRECT, [address, where, fit(scope, node, flags, U64, "flags")], I64)
