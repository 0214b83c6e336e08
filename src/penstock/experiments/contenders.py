"""Schedulers that an experiment compares, besides those that it has anyway."""

from __future__ import annotations

from pathlib import Path

from penstock.queue.catalogue import names


def schedulers(text: str) -> tuple[str, ...]:
    """Return the schedulers of a list with commas, names or files, as `penstock queue run` takes them.

    ValueError if two would be called the same, or a file as one that comes along.
    """
    found = tuple(dict.fromkeys(_absolute(each) for each in text.split(",") if each))
    taken = set(names())
    for each in found:
        if each not in names():
            if case(each) in taken:
                raise ValueError(f"{each}: there is another scheduler {case(each)}: name the file otherwise")
            taken.add(case(each))
    return found


def case(scheduler: str) -> str:
    """Return what a scheduler is called: `fifo`, `mine` for `./mine.py`, `Voice` for `./mine.py:Voice`."""
    path, _, name = scheduler.partition(":")
    return name or Path(path).stem


def _absolute(scheduler: str) -> str:
    path, colon, name = scheduler.partition(":")
    return str(Path(path).absolute()) + colon + name if path.endswith(".py") else scheduler
