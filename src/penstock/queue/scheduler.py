"""What a scheduler is: a class whose methods are compiled into the programs on the packet path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from penstock.lang import ArrayMap, Global, u32, u64
from penstock.queue import classes
from penstock.queue.classes import ClassCounts
from penstock.queue.packets import Packets, QueuedPacket

V = TypeVar("V")

NEVER = 0xFFFF_FFFF_FFFF_FFFF
"""When what nothing is waiting for is due."""


class Option(Generic[V]):
    """A parameter of a scheduler: in programs a constant.

    >>> class Mine(Scheduler):
    ...     queues = Option(count, "1024", "lists that flows are hashed to")
    """

    tunable = False

    def __init__(self, parse: Callable[[str], int], default: str, help: str) -> None:  # noqa: A002  # as in argparse
        self.parse = parse
        self.default = default
        self.help = help
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Scheduler, owner: type) -> V: ...
    def __get__(self, instance: Scheduler | None, owner: type) -> Any:
        return self if instance is None else instance.values[self.name]


class Parameter(Option[int]):
    """A parameter that stays as it is."""


class Tunable(Option["Global[u64]"]):
    """A parameter that may change while packets go on: programs read `.value`."""

    tunable = True


class Scheduler:
    """Decides which packets wait, and which is the next to leave. Derive from it.

    `enqueue` and `dequeue` are compiled: they are in the language, and run alone, one at a time. State is in
    maps that `setup` makes, such as `PacketPifo`, `Fifos` or any of `penstock.lang`.
    """

    holds_back: ClassVar[bool] = False
    """Whether packets may have to wait though the link is free: then none passes the scheduler by."""

    is_large: ClassVar[bool] = False
    """Whether the methods are called, not inlined: slower, but the verifier need not look so often."""

    class_names: ClassVar[Sequence[str]] = ()
    """Classes that are counted one by one: `enqueue` sets `packet.traffic_class` to a number of this list."""

    options: ClassVar[dict[str, Option[Any]]] = {}
    """The parameters of the class, by name."""

    def __init_subclass__(cls) -> None:
        cls.options = dict(cls.options)
        for name, value in vars(cls).items():
            if isinstance(value, Option):
                cls.options[name] = value

    def __init__(self, packets: Packets, **given: str | int) -> None:
        """Make a scheduler of these packets. Options are texts to parse, or values.

        ValueError for an option that there is not, or a value that it does not take.
        """
        self.packets = packets
        self.values: dict[str, Any] = {}
        self.initial: dict[Global[u64], int] = {}
        """What tunables have to be set to before the first packet."""
        if strange := set(given) - set(self.options):
            raise ValueError(f"{type(self).__name__} has no option {', '.join(sorted(strange))}")
        for name, option in self.options.items():
            self._set(name, option, given.get(name, option.default))
        self.class_counts = ArrayMap(ClassCounts, max(len(self.class_names), 1), name="classes")
        self.has_classes = bool(self.class_names)
        self.setup()

    def _set(self, name: str, option: Option[Any], given: str | int) -> None:
        value = option.parse(given) if isinstance(given, str) else given
        if option.tunable:
            self.values[name] = held = Global(u64, name=name[:15])
            self.initial[held] = value
        else:
            self.values[name] = value

    def setup(self) -> None:
        """Make the maps that hold the scheduler's state."""

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        """Let a packet wait. False: it is dropped, and counted. `now` is in ns."""
        raise NotImplementedError

    def dequeue(self, now: u64) -> QueuedPacket | None:
        """Return the packet to send at `now`, in ns, which is in no queue then; None if none is due."""
        raise NotImplementedError

    def next_due(self, now: u64) -> u64:
        """Return when a packet that waits may leave, in ns: at once, unless the scheduler holds packets back.

        It is asked when `dequeue` gave none though packets wait.
        """
        return now

    def make_room(self, now: u64) -> QueuedPacket | None:  # noqa: ARG002
        """Return a packet to drop, in no queue then, so that another may wait; None to drop that other.

        It is asked when a packet arrives and as many wait as can.
        """
        return None

    def made_copy(self) -> u32:
        """Return the number of a packet that the last `enqueue` added as a copy of its own, and one, or 0.

        The queue gives it the same bytes.
        """
        return 0

    def drop(self, packet: QueuedPacket) -> None:
        """Let go of a packet that `dequeue` took out of its queue and will not return; it is counted."""
        classes.dropped(self.counts_of(packet), packet)
        self.packets.drop(packet)

    def counts_of(self, packet: QueuedPacket) -> ClassCounts | None:
        """Return what is counted of a packet's class; None if the scheduler has none."""
        return self.class_counts.lookup(u32(packet.traffic_class)) if self.has_classes else None
