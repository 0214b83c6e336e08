"""Hash maps as Python dicts, and in bulk."""

import threading

import numpy as np
import pytest

from penstock.errors import KernelError
from penstock.kernel.features import MAPS
from penstock.lang import HashMap, LpmTrie, LruHash, PerCpuHash, SpinLock, Struct, be16, u8, u32, u64
from penstock.lang.maps import MapKind
from penstock.lang.types import i16
from tests.kernel.structs import Counters, Endpoint

both_ways = pytest.mark.usefixtures("either_way")


def test_like_a_dict(loaded):
    flows = loaded.create(HashMap(Endpoint, Counters, 10))
    key, other = Endpoint(address=1, port=80), Endpoint(address=1, port=443)
    assert len(flows) == 0
    assert key not in flows
    assert flows.get(key) is None
    flows[key] = Counters(packets=2, bytes=100)
    flows[other] = Counters(packets=3)
    assert flows[key] == Counters(packets=2, bytes=100)
    assert set(flows) == {key, other}
    assert {k: v.packets for k, v in flows.items()} == {key: 2, other: 3}
    assert sorted(v.packets for v in flows.values()) == [2, 3]
    assert flows.pop(key).bytes == 100
    assert flows.pop(key, None) is None
    del flows[other]
    assert not flows


def test_missing_keys_are_key_errors(loaded):
    table = loaded.create(HashMap(u32, u64, 4))
    with pytest.raises(KeyError):
        table[1]
    with pytest.raises(KeyError):
        del table[1]


@pytest.mark.parametrize(
    ("kind", "values"),
    [(u8, [0, 255]), (u64, [0, 2**64 - 1]), (i16, [-(2**15), 2**15 - 1]), (bool, [False, True])],
)
def test_numbers_come_back_as_they_went_in(loaded, kind, values):
    table = loaded.create(HashMap(u32, kind, 4))
    for value in values:
        table[1] = value
        assert table[1] == value
        assert type(table[1]) is type(value)


def test_big_endian_keys(loaded):
    table = loaded.create(HashMap(be16, u32, 4))
    table[be16(80)] = 1
    assert list(table) == [be16(80)]
    assert table.read()[0].tobytes() == b"\0\x50"
    assert be16(0x5000) not in table


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [(-1, 0, OverflowError), (1, 2**64, OverflowError), ("1", 1, TypeError), (Endpoint(), 1, TypeError)],
)
def test_what_is_no_key_or_value_is_refused(loaded, key, value, error):
    table = loaded.create(HashMap(u32, u64, 4))
    with pytest.raises(error):
        table[key] = value
    assert len(table) == 0


def test_a_full_map_says_so(loaded):
    table = loaded.create(HashMap(u32, u64, 2, name="small"))
    table[1] = table[2] = 0
    with pytest.raises(
        KernelError, match=r"cannot store an entry of map small \(HashMap, 2\): all 2 are taken"
    ):
        table[3] = 0


@pytest.mark.needs(MAPS[MapKind.LRU_HASH])
def test_an_lru_map_forgets_instead(loaded):
    table = loaded.create(LruHash(u32, u64, 64))
    for key in range(1000):
        table[key] = key
    assert 0 < len(table) <= 64
    assert all(value == key for key, value in table.items())


@both_ways
def test_read_gives_arrays(loaded):
    table = loaded.create(HashMap(Endpoint, Counters, 5000))
    count = 3000
    for number in range(count):
        table[Endpoint(address=number, port=53)] = Counters(packets=number)
    keys, values = table.read()
    assert (keys["address"] == values["packets"]).all()
    assert set(values["packets"]) == set(range(count))
    assert (keys["port"] == 53).all()
    assert len(table) == count


@both_ways
def test_read_of_an_empty_map(loaded):
    keys, values = loaded.create(HashMap(Endpoint, Counters, 10)).read()
    assert (len(keys), len(values), values.dtype) == (0, 0, Counters.__layout__.dtype)


@both_ways
def test_read_and_clear(loaded):
    table = loaded.create(HashMap(u32, u64, 1000))
    table.update_many(range(700), range(700))
    keys, values = table.read_and_clear()
    assert sorted(keys) == sorted(values) == list(range(700))
    assert len(table) == 0


@both_ways
def test_clear(loaded):
    table = loaded.create(HashMap(u32, u64, 100))
    table.update_many(range(100), range(100))
    table.clear()
    assert dict(table) == {}


@both_ways
def test_update_many_from_arrays(loaded):
    table = loaded.create(HashMap(u32, Counters, 100))
    values = np.zeros(50, Counters.__layout__.dtype)
    values["packets"] = np.arange(50)
    table.update_many(np.arange(50), values)
    assert {key: value.packets for key, value in table.items()} == {n: n for n in range(50)}


@both_ways
def test_update_many_from_objects(loaded):
    table = loaded.create(HashMap(Endpoint, u64, 100))
    keys = [Endpoint(address=n) for n in range(20)]
    table.update_many(keys, (n * 2 for n in range(20)))
    assert table[Endpoint(address=7)] == 14


@both_ways
def test_update_many_stops_where_the_map_is_full(loaded):
    table = loaded.create(HashMap(u32, u64, 10))
    with pytest.raises(KernelError, match="all 10 are taken"):
        table.update_many(range(20), range(20))
    assert len(table) == 10


def test_update_many_wants_as_many_values_as_keys(loaded):
    table = loaded.create(HashMap(u32, u64, 10))
    with pytest.raises(ValueError, match="3 keys and 2 values"):
        table.update_many([1, 2, 3], [1, 2])


def test_update_many_refuses_arrays_of_another_type(loaded):
    table = loaded.create(HashMap(u32, Counters, 10))
    with pytest.raises(TypeError, match="array of uint64, not of Counters"):
        table.update_many(np.arange(3), np.zeros(3, np.uint64))


@both_ways
def test_reading_while_others_change_the_map(loaded):
    """Keys vanish under the iteration, again and again; what stays must be in every result."""
    table = loaded.create(LruHash(u32, u64, 4000))
    steady = range(10_000_000, 10_000_050)
    table.update_many(steady, steady)
    stop = threading.Event()

    def churn():
        key = 0
        while not stop.is_set():
            table[key % 500] = key
            table.pop((key + 250) % 500, None)
            key += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(20):
            assert set(steady) <= {int(key) for key in table.read()[0]}
            for key, value in table.items():
                assert value % 500 == key or key == value
    finally:
        stop.set()
        thread.join()


@pytest.mark.needs(MAPS[MapKind.PERCPU_HASH])
@both_ways
def test_per_cpu_values_are_arrays(loaded):
    table = loaded.create(PerCpuHash(u32, Counters, 10))
    table[1] = Counters(packets=3, bytes=2**32 - 1, slots=[1, 2, 3])
    values = table[1]
    cpus = len(values)
    assert values.dtype == Counters.__layout__.dtype
    values["packets"] = np.arange(cpus)
    table[1] = values
    assert list(table[1]["packets"]) == list(range(cpus))
    keys, everything = table.read()
    assert (keys.shape, everything.shape) == ((1,), (1, cpus))
    total = table.total(1)
    assert total.packets == sum(range(cpus))
    assert total.bytes == (2**32 - 1) * cpus % 2**32
    assert list(total.slots) == [cpus, 2 * cpus, 3 * cpus]


@pytest.mark.needs(MAPS[MapKind.PERCPU_HASH])
@both_ways
def test_per_cpu_values_in_bulk(loaded):
    table = loaded.create(PerCpuHash(u32, u32, 10))
    table[1] = 5
    keys, values = table.read()
    table.update_many(keys + 1, values)
    assert table.total(2) == 5 * values.shape[1]


class Prefix(Struct):
    prefix: u32
    address: be16
    spare: be16


@pytest.mark.needs(MAPS[MapKind.LPM_TRIE])
@both_ways
def test_longest_prefix_match(loaded):
    routes = loaded.create(LpmTrie(Prefix, u32, 10))
    routes[Prefix(prefix=8, address=0x0A00)] = 8
    routes[Prefix(prefix=16, address=0x0A01)] = 16
    assert routes[Prefix(prefix=32, address=0x0A01)] == 16
    assert routes[Prefix(prefix=32, address=0x0A02)] == 8
    assert Prefix(prefix=32, address=0x0B00) not in routes
    assert {key.prefix: value for key, value in routes.items()} == {8: 8, 16: 16}
    keys, _ = routes.read_and_clear()
    assert len(keys) == 2
    assert len(routes) == 0


class Locked(Struct):
    lock: SpinLock
    count: u32


@both_ways
def test_values_with_a_lock_are_read_and_written_under_it(loaded):
    table = loaded.create(HashMap(u32, Locked, 10))
    table[1] = Locked(count=5)
    table[1] = Locked(count=6)
    table.update_many([2], [Locked(count=7)])
    assert {key: value.count for key, value in table.items()} == {1: 6, 2: 7}


def test_closed_maps_say_so(loaded):
    table = loaded.create(HashMap(u32, u64, 10, name="gone"))
    table.close()
    table.close()
    with pytest.raises(KernelError, match=r"map gone \(HashMap, 10\) is closed"):
        table[1]
