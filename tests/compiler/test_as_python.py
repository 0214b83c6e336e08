"""What is evaluated, in which order and how often, is as in Python.

The kernel and Python run the same functions, with the same results and traces.
"""

from __future__ import annotations

import pytest

import penstock
from penstock.lang import XDP_PASS
from tests.compiler.as_python import CASES, Inputs, Trace, program_of, results

INPUTS = [(1, 1), (1, 2), (2, 1), (2, 3), (3, 2), (3, 3), (4, 5)]


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_agrees_with_python(name: str) -> None:
    program = program_of(CASES[name])
    with penstock.load(program) as loaded:
        for a, b in INPUTS:
            trace = Trace()
            expected = CASES[name](trace, a, b)
            assert loaded[program].test_run(bytes(Inputs(a=a, b=b))).retval == XDP_PASS
            found = loaded[results].value
            assert (found.result, found.digits) == (expected, trace.digits), f"a={a}, b={b}"
