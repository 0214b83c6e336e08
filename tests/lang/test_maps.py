"""Specs of maps: what they refuse, what they say to the kernel, and that each is one map."""

from typing import Any

import pytest

from penstock.lang import (
    Array,
    ArrayMap,
    ArrayOfMaps,
    DevMap,
    Global,
    HashMap,
    LpmTrie,
    LruHash,
    MapSpec,
    PerCpuArray,
    PerCpuHash,
    ProgArray,
    RingBuf,
    SpinLock,
    Struct,
    Timer,
    XskMap,
    array,
    be32,
    u8,
    u32,
    u64,
)
from penstock.lang.maps import MMAPABLE, NO_PREALLOC, MapKind, holds_opaque
from penstock.lang.types import resolve


class Prefix(Struct):
    prefix: u32
    address: be32


class Guarded(Struct):
    lock: SpinLock
    count: u32


class Timed(Struct):
    timer: Timer


KINDS: dict[type[MapSpec], tuple[int, tuple[Any, ...]]] = {  # numbers of enum bpf_map_type in linux/bpf.h
    HashMap: (1, (u32, u64, 8)),
    ArrayMap: (2, (u64, 8)),
    ProgArray: (3, (8,)),
    PerCpuHash: (5, (u32, u64, 8)),
    PerCpuArray: (6, (u64, 8)),
    LruHash: (9, (u32, u64, 8)),
    LpmTrie: (11, (Prefix, u64, 8)),
    ArrayOfMaps: (12, (ArrayMap(u64, 1), 8)),
    DevMap: (14, (8,)),
    XskMap: (17, (8,)),
    RingBuf: (27, (u64, 4096)),
}
KEYED = (HashMap, LruHash, PerCpuHash, LpmTrie)
INDEXED = (ArrayMap, PerCpuArray)
REFERENCES = (DevMap, XskMap, ProgArray)


def make(spec: type[MapSpec], entries: int | None = None) -> MapSpec:
    arguments = KINDS[spec][1]
    return spec(*arguments) if entries is None else spec(*arguments[:-1], entries)


@pytest.mark.parametrize("spec", KINDS)
def test_kinds_are_the_kernel_s(spec: type[MapSpec]) -> None:
    assert make(spec).kind == KINDS[spec][0]


def test_every_kind_has_a_spec() -> None:
    assert {number for number, _ in KINDS.values()} == set(MapKind)


@pytest.mark.parametrize("spec", KINDS)
@pytest.mark.parametrize("entries", [0, -1])
def test_no_entries_are_refused(spec: type[MapSpec], entries: int) -> None:
    with pytest.raises(ValueError, match=f"{spec.__name__} of {entries} entries: must be positive"):
        make(spec, entries)


@pytest.mark.parametrize("spec", KINDS)
def test_specs_are_told_apart_by_identity(spec: type[MapSpec]) -> None:
    one, other = make(spec), make(spec)
    assert one == one  # noqa: PLR0124  # that is the point
    assert one != other
    assert len({one, other, one}) == 2


@pytest.mark.parametrize("spec", KINDS)
def test_a_name_shows(spec: type[MapSpec]) -> None:
    named = spec(*KINDS[spec][1], name="flows")  # type: ignore[call-arg]
    assert (named.name, repr(named)) == ("flows", f"{spec.__name__}(flows)")
    assert repr(make(spec)) == f"{spec.__name__}(unnamed)"


@pytest.mark.parametrize("spec", KEYED)
def test_keyed_maps_have_the_types_that_they_are_given(spec: type[MapSpec]) -> None:
    key, value, _ = KINDS[spec][1]
    made = make(spec)
    assert (made.key_type, made.value_type, made.entries) == (resolve(key), resolve(value), 8)


@pytest.mark.parametrize("spec", INDEXED)
def test_indexed_maps_have_u32_keys(spec: type[MapSpec]) -> None:
    made = make(spec)
    assert (made.key_type, made.value_type, made.entries) == (u32, u64, 8)


@pytest.mark.parametrize("spec", REFERENCES)
def test_references_are_u32s(spec: type[MapSpec]) -> None:
    made = make(spec)
    assert (made.key_type, made.value_type, made.entries) == (u32, u32, 8)


@pytest.mark.parametrize("wrong", [int, str, float, None, "u32", 4, object])
def test_what_is_no_type_is_refused(wrong: Any) -> None:
    specs = (
        lambda: HashMap(wrong, u32, 8),
        lambda: HashMap(u32, wrong, 8),
        lambda: ArrayMap(wrong, 8),
        lambda: PerCpuArray(wrong, 8),
        lambda: Global(wrong),
        lambda: RingBuf(wrong, 4096),
    )
    for spec in specs:
        with pytest.raises(TypeError, match="is not a type of the language"):
            spec()


def test_an_array_as_value_needs_a_struct_around_it() -> None:
    with pytest.raises(TypeError, match="has no length"):
        ArrayMap(Array[u8], 8)


@pytest.mark.parametrize("spec", KINDS)
def test_flags(spec: type[MapSpec]) -> None:
    expected = {LpmTrie: NO_PREALLOC, ArrayMap: MMAPABLE}
    assert make(spec).flags == expected.get(spec, 0)


def test_flags_are_the_kernel_s() -> None:
    assert (NO_PREALLOC, MMAPABLE) == (0x1, 0x400)  # BPF_F_NO_PREALLOC, BPF_F_MMAPABLE


@pytest.mark.parametrize("value", [Guarded, Timed])
def test_values_with_locks_and_timers_are_not_mapped(value: Any) -> None:
    assert holds_opaque(resolve(value))
    assert ArrayMap(value, 1).flags == 0


@pytest.mark.parametrize("value", [u8, u64, be32, Prefix])
def test_other_values_are_mapped(value: Any) -> None:
    assert not holds_opaque(resolve(value))
    assert ArrayMap(value, 1).flags == MMAPABLE


@pytest.mark.parametrize("size", [4096, 8192, 1 << 20])
def test_ring_sizes(size: int) -> None:
    ring = RingBuf(Prefix, size)
    assert (ring.entries, ring.record_type) == (size, resolve(Prefix))
    assert (ring.key_type, ring.value_type) == (None, None)


@pytest.mark.parametrize("size", [1, 64, 2048, 4095, 4097, 3 * 4096])
def test_other_ring_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"of {size} bytes: must be a power of two and a multiple of the pa"):
        RingBuf(Prefix, size)


def test_each_ring_counts_its_own_losses() -> None:
    one, other = RingBuf(u64, 4096), RingBuf(u64, 4096)
    assert one.losses is not other.losses
    assert isinstance(one.losses, Global)
    assert one.losses.value_type == u64


def test_a_global_is_an_array_of_one_that_is_mapped() -> None:
    spec = Global(Prefix, name="state")
    assert (spec.kind, spec.entries, spec.flags) == (MapKind.ARRAY, 1, MMAPABLE)
    assert (spec.key_type, spec.value_type, spec.name) == (u32, resolve(Prefix), "state")


def test_an_array_of_maps_knows_the_shape_of_its_maps() -> None:
    inner = ArrayMap(u64, 4)
    assert ArrayOfMaps(inner, 2).inner is inner
    assert HashMap(u32, u64, 4).inner is None


def test_specs_do_nothing_outside_programs() -> None:
    table, ring, state = HashMap(u32, u64, 8), RingBuf(u64, 4096), Global(u64)
    calls = (
        lambda: table.lookup(1),
        lambda: table.update(1, 2),
        lambda: table.delete(1),
        lambda: table.for_each(print, 1),
        lambda: ArrayMap(u64, 1).lookup(0),
        lambda: ArrayMap(u64, 1).for_each(print, 1),
        lambda: state.value,
        lambda: setattr(state, "value", 1),
        ring.reserve,
        lambda: ring.submit(None),  # type: ignore[call-overload]
        lambda: ring.discard(None),  # type: ignore[call-overload]
        lambda: ring.query(0),
        lambda: DevMap(1).redirect(0),
        lambda: ArrayOfMaps(table, 1).lookup(0),
    )
    for call in calls:
        with pytest.raises(TypeError, match="in Python use the loaded map"):
            call()


def test_locks_lie_at_the_top_of_a_value() -> None:
    class Nested(Struct):
        guarded: Guarded

    class Several(Struct):
        guarded: Array[Guarded] = array(2)

    for value in (Nested, Several, SpinLock):
        with pytest.raises(TypeError, match="locks and timers are fields of the value itself"):
            ArrayMap(value, 1)
