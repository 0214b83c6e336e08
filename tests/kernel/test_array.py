"""Arrays, per-CPU arrays and globals: by index, in bulk, and as shared memory."""

import gc
import os

import numpy as np
import pytest

from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.features import MAP_MEMORY, MAPS
from penstock.lang import ArrayMap, Global, PerCpuArray, SpinLock, Struct, be32, u8, u32, u64
from penstock.lang.maps import MapKind
from tests.kernel.assembler import R0, R1, MapAddress, W, atomic_add, exit_, mov, program, read
from tests.kernel.structs import Counters

both_ways = pytest.mark.usefixtures("either_way")


class Locked(Struct):
    lock: SpinLock
    count: u32


@both_ways
def test_like_a_list(loaded):
    numbers = loaded.create(ArrayMap(u64, 5))
    numbers[0], numbers[-1] = 7, 9
    assert len(numbers) == 5
    assert list(numbers) == [7, 0, 0, 0, 9]
    assert numbers[4] == 9
    assert 7 in numbers


@pytest.mark.parametrize("index", [5, -6])
def test_outside_is_an_index_error(loaded, index):
    numbers = loaded.create(ArrayMap(u64, 5, name="five"))
    with pytest.raises(IndexError, match=rf"map five \(ArrayMap, 5\) has no element {index}"):
        numbers[index]
    with pytest.raises(IndexError):
        numbers[index] = 1


@both_ways
def test_slices(loaded):
    numbers = loaded.create(ArrayMap(u32, 6))
    numbers[1:4] = [1, 2, 3]
    assert list(numbers[:]) == [0, 1, 2, 3, 0, 0]
    assert list(numbers[3:0:-1]) == [3, 2, 1]
    with pytest.raises(ValueError, match="argument"):
        numbers[1:4] = [1, 2]


@both_ways
def test_structs(loaded):
    array = loaded.create(ArrayMap(Counters, 3))
    array[1] = Counters(packets=4, slots=[1, 2, 3])
    assert array[1].packets == 4
    assert list(array.read()["packets"]) == [0, 4, 0]
    assert array.read()["slots"].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]


@pytest.mark.needs(MAP_MEMORY)
@pytest.mark.parametrize(("kind", "entries"), [(u8, 3), (u64, 2000), (Counters, 300)])
def test_memory_is_the_map(loaded, kind, entries):
    array = loaded.create(ArrayMap(kind, entries))
    memory = array.memory
    assert memory.shape == (entries,)
    raw = np.arange(1, entries + 1).astype(np.uint8)
    (memory["packets"] if memory.dtype.names else memory)[:] = raw
    assert (array.read()["packets"] if memory.dtype.names else array.read()).tolist() == raw.tolist()
    array[1] = Counters(packets=99) if kind is Counters else 99
    assert (memory[1]["packets"] if memory.dtype.names else memory[1]) == 99


@pytest.mark.needs(MAP_MEMORY)
def test_memory_outlives_the_map_while_it_is_used(loaded):
    array = loaded.create(ArrayMap(u64, 4))
    view = array.memory[1:]
    view[0] = 5
    array.close()
    assert view[0] == 5
    del view
    gc.collect()
    with pytest.raises(KernelError, match="is closed"):
        _ = array.memory


def test_memory_of_values_with_a_lock_is_refused(loaded):
    array = loaded.create(ArrayMap(Locked, 4, name="locked"))
    array[1] = Locked(count=3)
    assert [value.count for value in array] == [0, 3, 0, 0]
    with pytest.raises(KernelError, match=r"memory of map locked .*: its values hold a lock or a timer"):
        _ = array.memory


@pytest.mark.needs(MAP_MEMORY)
def test_a_number_shared_with_a_program():
    counter = Global(u64, name="counter")
    counting = program(
        MapAddress(R1, counter, value=True),
        mov(R0, 1),
        atomic_add(0x18, R1, 0, R0),
        read(W, R0, R1, 0),
        exit_(),
    )
    with load(counting) as loaded:
        loaded[counter].value = 40
        assert loaded[counting].test_run(bytes(64)).retval == 41
        assert loaded[counter].value == 41


@pytest.mark.needs(MAP_MEMORY)
def test_a_struct_shared_with_a_program(loaded):
    shared = loaded.create(Global(Counters))
    shared.value.packets += 2
    shared.value.slots[1] = 7
    assert shared.value == Counters(packets=2, slots=[0, 7, 0])
    shared.value = Counters(bytes=9)
    assert (shared.value.packets, shared.value.bytes) == (0, 9)


@pytest.mark.needs(MAP_MEMORY)
def test_a_big_endian_number_shared(loaded):
    shared = loaded.create(Global(be32))
    shared.value = be32(1)
    assert shared.value == be32(1)
    assert shared.memory.tobytes() == b"\0\0\0\1"


@pytest.mark.needs(MAPS[MapKind.PERCPU_ARRAY])
@both_ways
def test_per_cpu_arrays(loaded):
    array = loaded.create(PerCpuArray(Counters, 3))
    array[1] = Counters(packets=5)
    cpus = len(array[1])
    assert cpus >= (os.cpu_count() or 1)
    assert array.read().shape == (3, cpus)
    assert array.total(1) == Counters(packets=5 * cpus)
    values = array[2]
    values["bytes"] = np.arange(cpus)
    array[2] = values
    assert array.read()["bytes"][2].tolist() == list(range(cpus))


@pytest.mark.needs(MAPS[MapKind.PERCPU_ARRAY])
@both_ways
def test_per_cpu_numbers(loaded):
    array = loaded.create(PerCpuArray(u8, 300))
    array[299] = 200
    cpus = len(array[299])
    assert array.total(299) == 200 * cpus % 256
    assert array.read()[:299].sum() == 0
