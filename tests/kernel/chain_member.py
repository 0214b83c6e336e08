"""Processes in the chain of an interface: `python -m tests.kernel.chain_member STAGE INTERFACE MODE`.

Their programs, `first` and `second`, count. They read lines until their input ends: `count` has them say what
each has seen, `replace` puts the other one in place, `close` leaves the chain.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Self

from penstock.errors import KernelError
from penstock.kernel import load
from penstock.kernel.chain import join_chain
from penstock.kernel.interface import find_interface
from penstock.lab import Interface
from penstock.lang import XDP_DROP, XDP_PASS
from penstock.lang.program import ProgramKind
from tests.kernel.counting import counting


class Member:
    """A process that joins the chain of an interface within a `with` block."""

    def __init__(self, stage: str, interface: Interface, mode: str = "auto") -> None:
        command = [sys.executable, "-m", "tests.kernel.chain_member", stage, interface.name, mode]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = interface.host.popen(command, **pipes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def joined(self) -> Self:
        line = self.line()
        assert line.startswith("joined"), self.process.communicate()[1]
        return self

    def counts(self) -> list[int]:
        """Return the packets that the first program and the second have seen."""
        self.say("count")
        return [int(number) for number in self.line().split()]

    def leave(self, how: str) -> None:
        if how == "killed":
            self.process.kill()
            self.process.wait()
        elif how == "closed":
            self.say("close")
            assert self.line() == "left\n"
        else:
            self.process.communicate()


def main(stage: str, interface: str, mode: str) -> None:
    result = XDP_PASS if stage == "forward" else XDP_DROP  # which must not count
    counted = [counting(ProgramKind.XDP, name, result) for name in ("first", "second")]
    with load(*(spec for spec, _ in counted)) as loaded:
        programs = [loaded[spec] for spec, _ in counted]
        try:
            chain = join_chain(programs[0], find_interface(interface), stage, mode)
        except KernelError as error:
            sys.exit(str(error))
        say(f"joined, {chain.how}")
        for line in sys.stdin:
            if line == "count\n":
                say(" ".join(str(loaded[seen].value) for _, seen in counted))
            elif line == "replace\n":
                programs.reverse()
                chain.replace(programs[0])
                say("replaced")
            elif line == "close\n":
                chain.close()
                say("left")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
