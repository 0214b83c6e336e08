"""Finding a scheduler: one that comes with penstock by its name, or one in a file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import penstock.schedulers
from penstock.errors import PenstockError
from penstock.queue.scheduler import Scheduler

if TYPE_CHECKING:
    from types import ModuleType


class SchedulerError(PenstockError):
    """There is no such scheduler, or the file that should have one cannot be used."""


def names() -> list[str]:
    """Return the names of the schedulers that come with penstock."""
    return sorted(module.name for module in pkgutil.iter_modules(penstock.schedulers.__path__))


def find(which: str) -> type[Scheduler]:
    """Return a scheduler by its name, or the one in a file: `./mine.py`, or `./mine.py:Name` of several.

    Of several in `mine` it is `Mine` if none is named.

    SchedulerError, with names that are near, if there is none.
    """
    path, _, name = which.partition(":")
    if path.endswith(".py") or "/" in path:
        return _only(_load(Path(path)), path, name)
    if path not in names():
        near = difflib.get_close_matches(path, names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
        raise SchedulerError(f"no scheduler {path}: {hint}")
    return _only(importlib.import_module(f"penstock.schedulers.{path}"), path, name)


def _load(path: Path) -> ModuleType:
    """Import a file as a module of its own; other files beside it can be imported by it."""
    name = f"penstock.schedulers.file.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SchedulerError(f"cannot read {path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    except PenstockError:
        raise
    except Exception as error:
        raise SchedulerError(f"cannot import {path}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop()
    return module


def _only(module: ModuleType, where: str, name: str) -> type[Scheduler]:
    """The scheduler that a module defines."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Scheduler) and value.__module__ == module.__name__
    ]
    wanted = name or Path(where).stem.replace("_", "")
    chosen = [each for each in found if each.__name__.lower() == wanted.lower()]
    if len(chosen) == 1 or (len(found) == 1 and not name):
        return (chosen or found)[0]
    if not found:
        raise SchedulerError(f"{where} defines no scheduler: derive a class from penstock.queue.Scheduler")
    choices = ", ".join(f"{where}:{each.__name__}" for each in found)
    raise SchedulerError(f"{where} defines several schedulers: choose one of {choices}")
