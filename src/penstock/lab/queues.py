"""`penstock queue run` on a host, as users run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.lab.running import BEGUN, PENSTOCK, Running
from penstock.queue.control import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.lab.host import Host, Interface

_LINK: Final = ("rate", "burst", "overhead", "mpu", "patience", "drain")
"""What `penstock queue set` takes as options; all else is the scheduler's."""


class RunningQueue(Running):
    """A queue before an interface of a host, in a process of its own; made by `run_queue`.

    A context manager, that ends it; the lab does at the latest.
    """

    def __init__(self, host: Host, command: Sequence[str], target: Interface) -> None:
        super().__init__(host, command, BEGUN)
        self.target = target

    def statistics(self) -> dict[str, Any]:
        """Return what `penstock queue stats --json` prints; KernelError if the queue has ended."""
        return queue_statistics(self.target)

    def set(self, **options: object) -> None:
        """Change the link, or tunables of the scheduler: `set(rate="20mbit", target="5ms")`.

        Packets go on meanwhile. LabError, with what penstock printed, if it cannot be.
        """
        link = {name: value for name, value in options.items() if name in _LINK}
        own = {name: value for name, value in options.items() if name not in _LINK}
        self._do("set", *_flags(link), *_settings(own))

    def swap(self, scheduler: str, /, **options: object) -> None:
        """Have another scheduler take over, while packets go on; LabError as above."""
        self._do("swap", scheduler, *_settings(options))

    def _do(self, what: str, *arguments: str) -> None:
        self.host.run([*PENSTOCK, "queue", what, self.target.name, *arguments])


def run_queue(
    host: Host,
    scheduler: str,
    sources: Sequence[Interface],
    target: Interface,
    /,
    *,
    rate: int | str = "100mbit",
    **options: object,
) -> RunningQueue:
    """Start a queue, and return when it forwards.

    Args:
        host: The router or bridge where it runs.
        scheduler: Its name, or the path of a file of your own.
        sources: Interfaces of the host where packets arrive.
        target: The one where they leave.
        rate: What the link behind that carries, in bit/s or as a text; "unlimited" is a rate, too.
        options: Others of `penstock queue run`, with `_` for `-`: the scheduler's and those that all have.

    Raises:
        LabError: It cannot run: with what penstock printed.
    """
    arriving = [argument for source in sources for argument in ("--from", source.name)]
    where = [*arriving, "--to", target.name, "--rate", str(rate)]
    return RunningQueue(host, [*PENSTOCK, "queue", "run", scheduler, *where, *_flags(options)], target)


def queue_statistics(target: Interface) -> dict[str, Any]:
    """Ask the queue before an interface what it has counted; KernelError if there is none."""
    with target.host.enter():
        return ask(target.index, target.name, {"do": "statistics"})


def _flags(options: dict[str, object]) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def _settings(options: dict[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
