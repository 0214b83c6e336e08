"""Structs: their layout against ctypes and NumPy, and instances of them in Python."""

import ctypes
import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.lang import Array, Struct, array, be16, be32, be64, i8, i16, i32, i64, u8, u16, u32, u64
from penstock.lang.struct import StructType
from penstock.lang.types import BOOL, ArrayType, BigEndian, IntType, Type

SCALARS: dict[Type, Any] = {
    BOOL: ctypes.c_bool,
    u8: ctypes.c_uint8,
    u16: ctypes.c_uint16,
    u32: ctypes.c_uint32,
    u64: ctypes.c_uint64,
    i8: ctypes.c_int8,
    i16: ctypes.c_int16,
    i32: ctypes.c_int32,
    i64: ctypes.c_int64,
    be16: ctypes.c_uint16,
    be32: ctypes.c_uint32,
    be64: ctypes.c_uint64,
}


def structs(fields: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return st.builds(make, st.lists(fields, min_size=1, max_size=6), st.booleans())


def make(fields: list[Type], packed: bool) -> StructType:  # noqa: FBT001  # Hypothesis gives it
    """Return the layout of a class with these fields, arrays written as a user writes them."""
    body: dict[str, Any] = {"__annotations__": {}}
    for number, kind in enumerate(fields):
        hint, lengths = written(kind)
        body["__annotations__"][f"field{number}"] = hint
        if lengths:
            body[f"field{number}"] = array(*lengths)
    made: Any = type("Made", (Struct,), body, packed=packed)
    return made.__layout__


def written(kind: Type) -> tuple[Any, tuple[int, ...]]:
    if isinstance(kind, ArrayType):
        hint, lengths = written(kind.element)
        return Array[hint], (kind.length, *lengths)
    return (Struct.__class_of__[kind] if isinstance(kind, StructType) else kind), ()


def arrays(element: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return st.builds(ArrayType, element, st.integers(1, 4))


layouts = structs(
    st.recursive(st.sampled_from(list(SCALARS)), lambda inner: structs(inner) | arrays(inner), max_leaves=12)
)


def in_c(kind: Type) -> Any:
    """Return the same type as ctypes has it."""
    if isinstance(kind, ArrayType):
        return in_c(kind.element) * kind.length
    if isinstance(kind, StructType):
        members = [(field.name, in_c(field.type)) for field in kind.fields.values()]
        packing = {"_pack_": 1, "_layout_": "ms"} if kind.packed else {}
        return type(kind.name, (ctypes.Structure,), {**packing, "_fields_": members})
    return SCALARS[kind]


@given(layouts)
def test_layout_is_that_of_c(layout: StructType) -> None:
    same = in_c(layout)
    assert (layout.size, layout.align) == (ctypes.sizeof(same), ctypes.alignment(same))
    for field in layout.fields.values():
        in_it = getattr(same, field.name)
        assert (field.offset, field.type.size) == (in_it.offset, in_it.size)


@given(layouts)
def test_numpy_has_the_same_layout(layout: StructType) -> None:
    dtype = layout.dtype
    assert dtype.itemsize == layout.size
    assert dtype.fields is not None
    assert dtype.names == tuple(layout.fields)
    for field in layout.fields.values():
        kind, offset, *_ = dtype.fields[field.name]
        assert (kind.itemsize, offset) == (field.type.size, field.offset)


@given(layouts, st.data())
def test_values_are_where_c_has_them(layout: StructType, data: st.DataObject) -> None:
    memory = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    instance = Struct.__class_of__[layout].view(np.frombuffer(memory, layout.dtype).reshape(()))
    same(layout, instance, in_c(layout).from_buffer_copy(memory))
    assert bytes(instance) == memory


def same(kind: Type, ours: Any, theirs: Any) -> None:
    """Compare a value with what ctypes reads at the same place."""
    if isinstance(kind, StructType):
        for field in kind.fields.values():
            same(field.type, getattr(ours, field.name), getattr(theirs, field.name))
    elif isinstance(kind, ArrayType):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(kind.element, one, other)
    elif isinstance(kind, IntType) and kind.big_endian:
        assert int(ours).to_bytes(kind.size) == theirs.to_bytes(kind.size, sys.byteorder)
    else:
        assert ours == theirs


class Endpoint(Struct):
    address: be32
    port: be16


class Flow(Struct):
    source: Endpoint
    ends: Array[Endpoint] = array(2)
    seen: bool
    level: i16
    bytes_: u64
    grid: Array[Array[u8]] = array(2, 3)
    ports: Array[be16] = array(2)


class Packed(Struct, packed=True):
    kind: u8
    value: u64


def test_a_new_one_is_zero() -> None:
    flow = Flow()
    assert bytes(flow) == bytes(Flow.__layout__.size)
    assert (flow.bytes_, flow.level, flow.seen) == (0, 0, False)
    assert not flow.source.port


@pytest.mark.parametrize("kind", [kind for kind in SCALARS if isinstance(kind, IntType)], ids=str)
def test_integers_hold_what_fits_and_nothing_else(kind: IntType) -> None:
    layout = make([kind], packed=False)
    instance: Any = Struct.__class_of__[layout]()
    for value in (kind.minimum, 0, 1, kind.maximum):
        instance.field0 = value
        assert int(instance.field0) == value
    for value in (kind.minimum - 1, kind.maximum + 1):
        with pytest.raises(ValueError, match=rf"Made\.field0: {value} does not fit in {kind}"):
            instance.field0 = value
    assert int(instance.field0) == kind.maximum


@pytest.mark.parametrize("value", ["1", 1.0, None, b"\x01", [1]])
def test_no_number_is_refused(value: Any) -> None:
    flow = Flow()
    with pytest.raises(TypeError, match=r"Flow\.bytes_: "):
        flow.bytes_ = value
    assert flow == Flow()


@pytest.mark.parametrize("value", [0, 1, 2, "", None])
def test_a_truth_value_is_true_or_false(value: Any) -> None:
    flow = Flow(seen=True)
    assert flow.seen is True
    with pytest.raises(TypeError, match=r"Flow\.seen: .* is no bool"):
        flow.seen = value


def test_big_endian_values() -> None:
    endpoint = Endpoint(address=be32(0xC0000201), port=0x1234)
    assert endpoint.port == be16(0x1234)
    assert endpoint.port != be16(0x3412)
    assert endpoint.port == BigEndian(be16, 0x1234)
    assert int(endpoint.address) == 0xC0000201
    assert bytes(endpoint)[:6] == bytes.fromhex("c0000201 1234")
    assert endpoint.port
    assert not Endpoint().port


def test_another_width_of_big_endian_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Endpoint\.port: "):
        Endpoint(port=be32(80))


def test_parts_share_memory_and_are_copied_when_assigned() -> None:
    flow, endpoint = Flow(), Endpoint(port=80)
    flow.source = endpoint
    endpoint.port = 81
    assert int(flow.source.port) == 80
    flow.source.port = 82
    assert int(flow.source.port) == 82
    part = flow.ends[1]
    part.port = 83
    assert [int(end.port) for end in flow.ends] == [0, 83]
    flow.ends[0] = endpoint
    assert [int(end.port) for end in flow.ends] == [81, 83]
    assert int(flow.ends[-1].port) == 83
    flow.grid[1, 2] = 7
    assert flow.grid.tolist() == [[0, 0, 0], [0, 0, 7]]
    flow.ports = [be16(1), 2]
    assert bytes(flow.ports) == b"\0\x01\0\x02"


def test_arrays_keep_their_length() -> None:
    flow = Flow()
    for name, value in (("ends", [Endpoint()]), ("grid", [[1, 2, 3]]), ("grid", [[1, 2], [3, 4]])):
        with pytest.raises(ValueError, match=rf"Flow\.{name}: {len(value[0]) if value[1:] else 1} elements"):
            setattr(flow, name, value)
    with pytest.raises(IndexError):
        flow.ends[2]
    with pytest.raises(ValueError, match="256 does not fit in u8"):
        flow.grid = [[0, 0, 0], [0, 0, 256]]
    assert flow == Flow()


def test_another_struct_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Flow\.source: .* is no Endpoint"):
        Flow(source=Packed())


def test_a_view_reads_and_writes_what_it_is_of() -> None:
    table = np.zeros(3, Packed.__layout__.dtype)
    view = Packed.view(table[1:2].reshape(()))
    view.value = 9
    assert table["value"].tolist() == [0, 9, 0]
    table["kind"][1] = 4
    assert view.kind == 4


def test_equality_and_hash_are_by_bytes_and_class() -> None:
    class Other(Struct):
        address: be32
        port: be16

    one, same_, other = Endpoint(port=80), Endpoint(port=80), Endpoint(port=81)
    assert one == same_
    assert hash(one) == hash(same_)
    assert one != other
    assert {one: 1}[same_] == 1
    assert one != Other(port=80)
    assert one != bytes(one)
    assert Endpoint.__layout__ is not Other.__layout__


def test_repr_has_all_fields() -> None:
    assert repr(Packed(kind=1, value=2)) == "Packed(kind=1, value=2)"
    assert repr(Endpoint()) == f"Endpoint(address={be32(0)!r}, port={be16(0)!r})"


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Endpoint has no field 'ports'"):
        Endpoint(ports=80)


def test_the_class_tells_where_fields_are() -> None:
    assert (Packed.value.offset, Packed.value.type) == (1, u64)  # type: ignore[attr-defined]


def test_a_derived_struct_begins_with_its_base() -> None:
    class Longer(Packed):
        more: u16

    class Retyped(Endpoint):
        address: be64

    assert Longer.__layout__.packed
    assert {f.name: f.offset for f in Longer.__layout__.fields.values()} == {"kind": 0, "value": 1, "more": 9}
    assert {f.name: f.offset for f in Retyped.__layout__.fields.values()} == {"address": 0, "port": 8}


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (Array[u8], "has no length"),
        (Array[Array[u8]], "has no length"),
        (int, "is not a type of the language"),
        (str, "is not a type of the language"),
        (Struct, "is not a type of the language"),
        (None, "is not a type of the language"),
        ("nowhere", "'nowhere' is not defined"),
    ],
)
def test_what_is_no_type_is_refused(hint: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"Wrong\.field: .*{re.escape(message)}"):
        type("Wrong", (Struct,), {"__annotations__": {"field": hint}})


def test_an_inner_dimension_needs_a_length() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.field: .*has no length"):
        type("Wrong", (Struct,), {"__annotations__": {"field": Array[Array[u8]]}, "field": array(2)})


@pytest.mark.parametrize("lengths", [(), (0,), (-1,), (4, 0)])
def test_lengths_are_positive(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="give positive lengths"):
        array(*lengths)


def test_a_struct_has_fields() -> None:
    with pytest.raises(TypeError, match="Empty has no fields"):
        type("Empty", (Struct,), {})


@pytest.mark.parametrize("name", ["data", "view", "__layout__", "__class_of__", "__len__"])
def test_names_that_a_struct_has_itself_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Wrong\.{name}: a Struct has something of that name already"):
        type("Wrong", (Struct,), {"__annotations__": {name: u8}})


class Corner(Struct):
    x: u8
    y: u32


class Grid(Struct):
    numbers: Array[Array[u8]] = array(2, 3)
    corners: Array[Array[Corner]] = array(2, 2)


def test_arrays_of_arrays_are_assigned_and_shown() -> None:
    grid = Grid(numbers=[[1, 2, 3], [4, 5, 6]])
    grid.corners[0][1].x = 7
    grid.corners[1] = grid.corners[0]
    grid.numbers, grid.corners = grid.numbers, grid.corners
    assert grid.numbers.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert grid.corners[1] == grid.corners[0]
    assert repr(grid.corners[1]) == "[Corner(x=0, y=0), Corner(x=7, y=0)]"
    with pytest.raises(TypeError):
        grid.corners[0:1]
