"""How long `penstock rtt` takes to compile its programs, with an empty cache and with a full one."""

import os
import subprocess
import sys
from pathlib import Path

COMPILE = """
import time

import penstock.compiler.build
from penstock.compiler import compile_program
from penstock.rtt.options import RttOptions
from penstock.rtt.programs import rtt_programs

start = time.perf_counter()
programs = rtt_programs(RttOptions())
for program in (programs.ethernet.ingress, programs.ethernet.egress, programs.sweep):
    compile_program(program)
print(time.perf_counter() - start)
"""


def seconds(cache: Path) -> float:
    """How long a new process takes once it has imported the compiler; LLVM is imported if it is needed."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", COMPILE]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(ended.stdout)


def test_cold_and_warm(tmp_path: Path) -> None:
    """The least of several: other work on the machine only ever adds."""
    cold = min(seconds(tmp_path / str(attempt)) for attempt in range(4))
    warm = min(seconds(tmp_path / "0") for _ in range(6))
    assert cold < 0.5
    assert warm < 0.1
