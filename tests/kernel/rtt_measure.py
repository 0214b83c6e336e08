"""`penstock rtt` as a command, beside captures of the same packets.

What is compared, and why that is exact: on the way in, the capture has a packet just before the tc hook and
just after native XDP; on the way out just after the tc hook. On one CPU nothing comes between the two, so
that both see the packets of an interface in the same order, and the same rules must give the same RTTs, none
more and none less: super-packets (GSO) are one packet to both, and GRO is off on these links, so that those
which XDP sees are not merged before they are captured. Where traffic is on two CPUs, two packets at once may
pass hook and capture in different order: `one_cpu` keeps it on one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from penstock.lab import Capture, Interface
from tests.truth import Comparison, Rtt, compare, reported_rtts, rtts_of

PENSTOCK: Final = str(Path(sys.executable).with_name("penstock"))

_NUMBERS: Final = re.compile(r"(\d+) ([a-z ]+?)(?=[,;\n]| of | in )", re.IGNORECASE)
_SETTLED: Final = 0.3  # s after traffic until all of it has passed


@contextmanager
def one_cpu() -> Iterator[None]:
    """Keep what is started within on one CPU, and with it all packets that it sends and receives."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Measurement:
    """Measures, and captures unless told not to, on interfaces of one host within a `with` block.

    Then `objects` is what penstock printed, and `numbers` its totals, by the words after them.
    """

    def __init__(
        self,
        folder: Path,
        *interfaces: Interface,
        options: Sequence[str] = ("--rate-limit=0",),
        capture: bool = True,
    ) -> None:
        self._output = folder / "rtt.jsonl"
        self._paths = {each.name: folder / f"{each.name}.pcap" for each in interfaces}
        self._interfaces = interfaces
        self._options = options
        self._captures = capture

    def __enter__(self) -> Self:
        command = [PENSTOCK, "rtt", *self._paths, "--format=jsonl", *self._options]
        with ExitStack() as owned:
            for each in self._interfaces if self._captures else ():
                owned.enter_context(Capture(each, self._paths[each.name], snapshot=192))
            output = owned.enter_context(self._output.open("w"))
            host = self._interfaces[0].host
            self.process = host.popen(command, stdout=output, stderr=subprocess.PIPE)
            self._owned = owned.pop_all()
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "measuring on" in line, line + self.process.stderr.read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._owned:
            if kind is None:
                time.sleep(_SETTLED)
                self.process.send_signal(signal.SIGINT)
                _, self.errors = self.process.communicate(timeout=30)
                assert self.process.returncode == 0, self.errors
                lines = self._output.read_text().splitlines()
                self.objects: list[dict[str, Any]] = [json.loads(line) for line in lines]
                self.numbers = {words: int(number) for number, words in _NUMBERS.findall(self.errors)}

    def capture(self, interface: Interface) -> Path:
        """Return the file with an interface's packets."""
        return self._paths[interface.name]

    def rtts(self, interface: Interface) -> list[Rtt]:
        """Return the RTTs that were reported for an interface."""
        found = [each for each in self.objects if each.get("interface", interface.name) == interface.name]
        return reported_rtts(json.dumps(each) for each in found)

    def compared(self, interface: Interface, *, syn: bool = False) -> Comparison:
        """Compare with the capture."""
        return compare(self.rtts(interface), rtts_of(self.capture(interface), syn=syn))

    def verified(self, interface: Interface, *, syn: bool = False) -> Comparison:
        """Compare with the capture: the same RTTs, all of them, within 20 µs at the median.

        RTTs may be missing as far as penstock itself says that it had no slot for a packet's time.
        """
        comparison = self.compared(interface, syn=syn)
        assert comparison.pairs, self.errors
        assert not comparison.unsupported, comparison
        assert "events lost" not in self.numbers, self.errors
        assert len(comparison.missing) <= self.numbers.get("packets not timed", 0), comparison
        assert comparison.median_error < 20_000, comparison
        return comparison
