"""What an experiment is: options, and a run that gives a result."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from penstock import units

if TYPE_CHECKING:
    from penstock.experiments.result import Result

T = TypeVar("T")


class Option(Generic[T]):
    """An option of an experiment: how to read its text, what it is by default, and what it is for."""

    name: str

    def __init__(self, parse: Callable[[str], T], default: str, help: str) -> None:  # noqa: A002  # as click's
        self.parse = parse
        self.default = default
        self.help = help

    def __set_name__(self, owner: type[Experiment], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, experiment: None, owner: type[Experiment]) -> Self: ...
    @overload
    def __get__(self, experiment: Experiment, owner: type[Experiment]) -> T: ...
    def __get__(self, experiment: Experiment | None, owner: type[Experiment]) -> Self | T:
        return self if experiment is None else experiment.values[self.name]


class Experiment(ABC):
    """One experiment; its docstring says what it shows, the first line in a sentence.

    A subclass sets defaults of its own by options of the same name.
    """

    options: ClassVar[dict[str, Option[Any]]] = {}
    """By name."""

    duration = Option(units.duration, "5s", "how long there is traffic in each case")
    runs = Option(units.count, "3", "how often; medians count")
    seed = Option(units.count, "1", "of all that is random")

    def __init_subclass__(cls) -> None:
        declared = {**vars(Experiment), **cls.options, **vars(cls)}
        cls.options = {name: each for name, each in declared.items() if isinstance(each, Option)}

    def __init__(self, **given: str) -> None:
        """Set options, by texts as on the command line: `Transition(rate="100mbit", runs="1")`.

        ValueError for an option that there is not, or a value that it does not take.
        """
        if strange := set(given) - set(self.options):
            raise ValueError(f"{type(self).__name__} has no option {', '.join(sorted(strange))}")
        self.parameters = {name: given.get(name, option.default) for name, option in self.options.items()}
        self.values: dict[str, Any] = {}
        for name, option in self.options.items():
            try:
                self.values[name] = option.parse(self.parameters[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    @classmethod
    def summary(cls) -> str:
        """Return what it shows, in a sentence."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @abstractmethod
    def run(self, tell: Callable[[str], None]) -> Result:
        """Do it. `tell` is called with a short line now and then, about what is being done.

        LabError or KernelError if this user may not, or the kernel cannot.
        """
