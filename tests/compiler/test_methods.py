"""Methods of objects that are known when a program is compiled."""

import penstock
from penstock.lang import Global, Xdp, subprogram, u32, u64, xdp


class Counter:
    """Counts in steps of its own, and has others count too."""

    def __init__(self, step: int, following: "Counter | None" = None) -> None:
        self.step = step
        self.following = following
        self.total = Global(u64, name=f"total{step}")

    @property
    def double(self) -> int:
        return 2 * self.step

    def add(self, times: u64, *, twice: bool = False) -> u64:
        self.total.value += times * self.step
        if twice:
            self.total.value += times * self.step
        if self.following is not None:
            self.following.add(times)
        return self.total.value

    @subprogram
    def apart(self, times: u64) -> u64:
        return self.add(times, twice=True)

    @classmethod
    def named(cls, number: u32) -> u32:
        return number + len(cls.__name__)


class Quiet(Counter):
    """Overrides a method."""

    def add(self, times: u64, *, twice: bool = False) -> u64:  # noqa: ARG002
        return times


last = Counter(5)
first = Counter(3, following=last)
quiet = Quiet(11)


@xdp
def program(packet: Xdp) -> int:
    if first.add(1) != 3 or last.apart(2) != 25 or quiet.add(9) != 9:
        return 1
    return first.double + first.named(1)


def test_each_object_has_its_own_instance():
    with penstock.load(program) as loaded:
        assert loaded[program].test_run(bytes(64)).retval == 6 + 1 + len("Counter")
        assert loaded[first.total].value == 3
        assert loaded[last.total].value == 25
