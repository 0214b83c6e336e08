"""What programs do with maps: each method is one kernel helper."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from penstock.compiler import ir
from penstock.compiler.frontend.convert import fit, materialise
from penstock.compiler.frontend.functions import bind, callback
from penstock.compiler.frontend.scope import Scope
from penstock.compiler.frontend.values import MapType, Static, Value, describe, is_scalar
from penstock.lang import maps
from penstock.lang.maps import MapSpec, RingBuf
from penstock.lang.types import IntType, Type, i64, u32, u64

Method = Callable[[Scope, ast.Call, Any, ir.Expr], Value]
MAP_METHODS: dict[tuple[type, str], Method] = {}


def _method(kind: type[MapSpec], name: str) -> Callable[[Method], Method]:
    def register(method: Method) -> Method:
        MAP_METHODS[kind, name] = method
        return method

    return register


def map_name(node: ast.expr) -> str:
    """A name for the map that an expression refers to: the last part of what is written."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "map"


def _helper(
    scope: Scope,
    node: ast.AST,
    helper: tuple[str, int, tuple[int, int]],
    arguments: list[ir.Expr],
    result: Any,
) -> ir.Expr:
    name, number, since = helper
    return ir.HelperCall(name, number, since, arguments, loc=scope.loc(node), type=result)


def _in_memory(scope: Scope, node: ast.AST, value: Value, kind: Type, what: str) -> ir.Expr:
    """A pointer to `value`: itself if it is in memory, or to a copy on the stack."""
    if not is_scalar(kind):
        return fit(scope, node, value, ir.PointerType(kind), what)
    loc = scope.loc(node)
    expr = fit(scope, node, value, kind, what)
    storage = scope.storage(node, kind, what)
    pointer = ir.StorageAddress(storage, loc=loc, type=ir.PointerType(kind, local=True))
    scope.emit(ir.Store(pointer, expr, loc=loc))
    return pointer


def _lookup(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr, key: Value) -> Value:
    assert spec.key_type is not None
    pointer = _in_memory(scope, node, key, spec.key_type, "key")
    target = MapType(spec.inner) if spec.inner else spec.value_type
    return _helper(
        scope,
        node,
        ("map_lookup_elem", 1, (3, 19)),
        [address, pointer],
        ir.PointerType(target, nullable=True),
    )


@_method(maps.KeyedSpec, "lookup")
def _lookup_key(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    return _lookup(scope, node, spec, address, bind(scope, node, ["key"], {})["key"])


@_method(maps.IndexedSpec, "lookup")
@_method(maps.ArrayOfMaps, "lookup")
def _lookup_index(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    return _lookup(scope, node, spec, address, bind(scope, node, ["index"], {})["index"])


@_method(maps.KeyedSpec, "update")
def _update(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    key, value, flags = bind(scope, node, ["key", "value", "flags"], {"flags": 0}).values()
    assert spec.key_type is not None
    assert spec.value_type is not None
    arguments = [
        address,
        _in_memory(scope, node, key, spec.key_type, "key"),
        _in_memory(scope, node, value, spec.value_type, "value"),
        fit(scope, node, flags, _any(u64), "flags"),
    ]
    return _helper(scope, node, ("map_update_elem", 2, (3, 19)), arguments, i64)


@_method(maps.KeyedSpec, "delete")
def _delete(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    (key,) = bind(scope, node, ["key"], {}).values()
    assert spec.key_type is not None
    pointer = _in_memory(scope, node, key, spec.key_type, "key")
    return _helper(scope, node, ("map_delete_elem", 3, (3, 19)), [address, pointer], i64)


@_method(maps.KeyedSpec, "for_each")
@_method(maps.IndexedSpec, "for_each")
def _for_each(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    function, state = bind(scope, node, ["callback", "state"], {}).values()
    called = function.value if isinstance(function, Static) else None
    if isinstance(state, Static) or not isinstance(state.type, ir.PointerType) or state.type.nullable:
        raise scope.error(node, f"the state is a struct, this is {describe(state)}")
    offered: list[Type] = [
        ir.PointerType(spec.key_type),
        ir.PointerType(spec.value_type),
        ir.PointerType(state.type.to),
    ]
    target = callback(scope, node, called, [ir.PointerType(None)], offered)
    loc = scope.loc(node)
    arguments = [
        address,
        ir.FunctionAddress(target, loc=loc, type=ir.PointerType(None)),
        state,
        ir.Const(0, loc=loc, type=_any(u64)),
    ]
    return _helper(scope, node, ("for_each_map_elem", 164, (5, 13)), arguments, i64)


@_method(RingBuf, "reserve")
def _reserve(scope: Scope, node: ast.Call, spec: RingBuf[Any], address: ir.Expr) -> Value:
    bind(scope, node, [], {})
    return ir.RingReserve(spec, loc=scope.loc(node), type=ir.PointerType(spec.record_type, nullable=True))


def _finish(helper: tuple[str, int, tuple[int, int]]) -> Method:
    def method(scope: Scope, node: ast.Call, spec: RingBuf[Any], address: ir.Expr) -> Value:
        record, flags = bind(scope, node, ["record", "flags"], {"flags": 0}).values()
        pointer = fit(scope, node, record, ir.PointerType(spec.record_type), "record")
        return _helper(scope, node, helper, [pointer, fit(scope, node, flags, _any(u64), "flags")], None)

    return method


MAP_METHODS[RingBuf, "submit"] = _finish(("ringbuf_submit", 132, (5, 8)))
MAP_METHODS[RingBuf, "discard"] = _finish(("ringbuf_discard", 133, (5, 8)))


@_method(RingBuf, "query")
def _query(scope: Scope, node: ast.Call, spec: RingBuf[Any], address: ir.Expr) -> Value:
    (what,) = bind(scope, node, ["what"], {}).values()
    return _helper(
        scope, node, ("ringbuf_query", 134, (5, 8)), [address, fit(scope, node, what, _any(u64), "what")], u64
    )


@_method(maps.DevMap, "redirect")
def _redirect(scope: Scope, node: ast.Call, spec: MapSpec, address: ir.Expr) -> Value:
    index, flags = bind(scope, node, ["index", "flags"], {"flags": 0}).values()
    where = (
        fit(scope, node, index, _any(u32), "index")
        if isinstance(index, Static)
        else materialise(scope, node, index)
    )
    if not isinstance(where.type, IntType) or where.type.signed or where.type.big_endian:
        raise scope.error(node, f"an index is an unsigned number, this is {describe(where)}")
    return _helper(
        scope,
        node,
        ("redirect_map", 51, (4, 14)),
        [address, where, fit(scope, node, flags, _any(u64), "flags")],
        i64,
    )


def _any(kind: Any) -> IntType:
    return kind
