"""What the options make of the RTT programs, before any kernel sees them."""

from __future__ import annotations

import os
from itertools import product

import pytest

from penstock.compiler import compile_program
from penstock.compiler.spec import ProgramSpec
from penstock.lang import sizeof
from penstock.rtt.options import RttOptions
from penstock.rtt.programs import rtt_programs
from penstock.rtt.records import Event
from penstock.rtt.tables import Flow, FlowKey, entry_type, make_tables

MS = 1_000_000


@pytest.mark.parametrize(
    ("rate_limit", "rtt_rate", "slots"),
    [
        (0, 0, 64),
        (1, 0, 64),
        (10 * MS, 0, 64),
        (20 * MS, 0, 32),
        (50 * MS, 0, 8),
        (100 * MS, 0, 4),
        (10_000 * MS, 0, 4),
        (0, 0.01, 64),
        (0, 0.1, 32),
        (0, 0.5, 4),
        (0, 10_000, 4),
    ],
)
def test_slots_are_a_power_of_two_for_400_ms(rate_limit: int, rtt_rate: float, slots: int) -> None:
    assert RttOptions(rate_limit=rate_limit, rtt_rate=rtt_rate).slots == slots


def test_masks_of_prefixes() -> None:
    assert RttOptions(prefix_v4=24).mask_v4 == 0xFFFFFFFF_FFFFFF00
    assert RttOptions(prefix_v4=0).mask_v4 == 0xFFFFFFFF_00000000
    assert RttOptions(prefix_v6=48).masks_v6 == (0xFFFFFFFF_FFFF0000, 0)
    assert RttOptions(prefix_v6=65).masks_v6 == (2**64 - 1, 1 << 63)
    assert RttOptions(prefix_v6=128).masks_v6 == (2**64 - 1, 2**64 - 1)


def test_rates_are_fixed_point() -> None:
    assert RttOptions(rtt_rate=2.5).rtt_rate_fixed == 2.5 * 4096
    assert RttOptions(rtt_rate=1e-6).rtt_rate_fixed == 1, "not 0, which would be none"


def test_candidates_have_room_of_their_own() -> None:
    assert RttOptions(flows=131_072).pending == 32_768
    assert RttOptions(flows=16).pending == 1024


@pytest.mark.parametrize("slots", [4, 64])
def test_entries_fill_cache_lines(slots: int) -> None:
    header = 48  # struct htab_elem of kernel/bpf/hashtab.c
    before_slots = header + sizeof(FlowKey) + sizeof(Flow)
    assert before_slots % 64 == 0
    assert (before_slots + 2 * 8 * slots) % 64 == 0
    assert header + sizeof(FlowKey) + sizeof(entry_type(slots)) == before_slots + 2 * 8 * slots


@pytest.mark.parametrize("cpus", [1, 2, 7, 64, 4096])
@pytest.mark.parametrize("size", [4096, 1 << 20, 1 << 26])
def test_all_cpus_together_wake_the_reader_in_time(
    monkeypatch: pytest.MonkeyPatch, cpus: int, size: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    each = make_tables(RttOptions(ring_bytes=size)).events_per_wakeup
    assert each & (each - 1) == 0
    assert each == 1 or each * cpus * (sizeof(Event) + 8) <= size / 8


@pytest.mark.parametrize(
    ("syn", "local", "aggregate", "sampling"),
    [*product([False, True], [False, True], [False, True], [{"rate_limit": 0}, {"rtt_rate": 0.5}])],
)
def test_every_choice_compiles(
    *, syn: bool, local: bool, aggregate: bool, sampling: dict[str, float]
) -> None:
    options = RttOptions(syn=syn, local=local, aggregate=aggregate, rtt_events=not aggregate, **sampling)
    programs = rtt_programs(options)
    for program in (programs.ethernet.ingress_xdp, programs.ip.egress):
        maps = compile_program(program).map_names
        assert ("own" in maps) == (not local and program is programs.ethernet.ingress_xdp)
        assert ("aggregates_0" in maps) == aggregate
        assert ("events" in maps) == (not aggregate or options.flow_events)


def test_options_cost_nothing_when_off() -> None:
    def ingress(**options: bool) -> ProgramSpec:
        return compile_program(rtt_programs(RttOptions(**options)).ethernet.ingress)

    default = ingress()
    assert len(ingress(flow_events=False).code) < len(default.code)
    assert len(ingress(icmp=False).code) < len(default.code)
    assert "own" not in default.map_names
    assert "own" in ingress(local=False).map_names
    assert "fib_lookup" not in dict(ingress(local=False).helpers), "no look-up of routes"
