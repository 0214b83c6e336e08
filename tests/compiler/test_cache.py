"""The cache of compiled code: right, or not used."""

import os
import stat

import pytest

from penstock.compiler import backend, build, target
from penstock.compiler.build import compile_unit
from penstock.compiler.cache import Cache, folder, key_of
from tests.compiler.make import HERE, binary, const, ret, unit

KEY = key_of("something")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_what_was_put_is_got(cache):
    assert cache.get(KEY) is None
    cache.put(KEY, b"contents")
    assert cache.get(KEY) == b"contents"
    assert cache.get(key_of("something else")) is None


@pytest.mark.parametrize("part", [0, 1, 31, 40, -1])
def test_cut_entry_is_none(cache, part):
    cache.put(KEY, b"contents of the entry")
    entry = cache.path / KEY
    entry.write_bytes(entry.read_bytes()[:part])
    assert cache.get(KEY) is None
    cache.put(KEY, b"again")
    assert cache.get(KEY) == b"again"


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_changed_entry_is_none(cache, place):
    cache.put(KEY, b"contents of the entry")
    data = bytearray((cache.path / KEY).read_bytes())
    data[place] ^= 1
    (cache.path / KEY).write_bytes(data)
    assert cache.get(KEY) is None


def test_entry_of_another_key_is_none(cache):
    other = key_of("other")
    cache.put(KEY, b"contents")
    (cache.path / KEY).rename(cache.path / other)
    assert cache.get(other) is None


def test_entry_that_others_can_write_is_none(cache):
    cache.put(KEY, b"contents")
    (cache.path / KEY).chmod(0o622)
    assert cache.get(KEY) is None


def test_folder_that_others_can_write_is_not_used(cache):
    cache.put(KEY, b"contents")
    cache.path.chmod(0o777)
    assert cache.get(KEY) is None
    cache.put(key_of("more"), b"more")
    assert [entry.name for entry in cache.path.iterdir()] == [KEY]


def test_entry_of_somebody_else_is_none(cache, monkeypatch):
    cache.put(KEY, b"contents")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.get(KEY) is None


def test_symbolic_link_is_none(cache, tmp_path):
    cache.put(KEY, b"contents")
    (cache.path / KEY).rename(tmp_path / "elsewhere")
    (cache.path / KEY).symlink_to(tmp_path / "elsewhere")
    assert cache.get(KEY) is None


def test_without_a_folder_nothing_happens(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "below")
    cache.put(KEY, b"contents")
    assert cache.get(KEY) is None


def test_folder_is_private(cache):
    cache.put(KEY, b"contents")
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o700


def test_entries_not_used_for_longest_go_first(tmp_path):
    cache = Cache(tmp_path / "cache", limit=400)
    keys = [key_of(str(n)) for n in range(4)]
    for n, key in enumerate(keys[:3]):
        cache.put(key, bytes(100))
        os.utime(cache.path / key, (n, n))
    assert cache.get(keys[0]) is not None
    cache.put(keys[3], bytes(100))
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]


def test_interrupted_writing_leaves_nothing(cache, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError

    cache.put(KEY, b"contents")
    monkeypatch.setattr("pathlib.Path.replace", fail)
    cache.put(key_of("more"), b"more")
    assert [entry.name for entry in cache.path.iterdir()] == [KEY]


def test_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "penstock"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".cache" / "penstock"


def test_keys_tell_parts_apart():
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("abc", "")}) == 4


@pytest.fixture
def compilations(monkeypatch):
    """Count what LLVM compiles."""
    count: list[object] = []
    real = backend.object_code

    def counted(*arguments):
        count.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(backend, "object_code", counted)
    return count


def program(value: int, line: int = 1):
    made = unit([ret(binary("add", const(value), const(1)))])
    made.functions[0].body[0].loc = type(HERE)(HERE.file, line, 1)
    return made


def test_second_compilation_is_from_the_cache_and_equal(compilations):
    first, second = (compile_unit(program(3)) for _ in range(2))
    assert len(compilations) == 1
    for name in ("code", "relocations", "kfuncs", "btf", "func_info", "line_info", "lines", "helpers"):
        assert getattr(first, name) == getattr(second, name)


def test_other_code_or_positions_are_compiled(compilations):
    compile_unit(program(3))
    compile_unit(program(4))
    compile_unit(program(3, line=2))
    assert len(compilations) == 3


def test_damaged_entry_is_compiled_again_and_replaced(compilations, empty_cache):
    first = compile_unit(program(3))
    (entry,) = empty_cache.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    assert compile_unit(program(3)).code == first.code
    assert len(compilations) == 2
    compile_unit(program(3))
    assert len(compilations) == 2


@pytest.mark.parametrize(
    ("place", "name", "other"),
    [(build, "__version__", "99.0"), (target, "CPU", "v2"), (target, "OPTIONS", target.OPTIONS[:-1])],
)
def test_other_versions_and_options_are_compiled(compilations, monkeypatch, place, name, other):
    monkeypatch.setattr(build, "_surroundings", build._surroundings.__wrapped__)
    for _ in range(2):
        compile_unit(program(3))
    assert len(compilations) == 1
    monkeypatch.setattr(place, name, other)
    compile_unit(program(3))
    assert len(compilations) == 2


def test_other_source_text_is_compiled(compilations):
    """It is in the type information."""
    compile_unit(program(3), source_of=lambda _: "one\n")
    compile_unit(program(3), source_of=lambda _: "two\n")
    assert len(compilations) == 2


def test_default_cache_is_the_users(empty_cache):
    compile_unit(program(3))
    assert len(list(empty_cache.iterdir())) == 1
