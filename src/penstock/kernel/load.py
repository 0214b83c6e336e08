"""From specs to what runs: maps are created, programs loaded, and all of it let go together."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, cast, overload

from penstock.errors import KernelError
from penstock.kernel import features
from penstock.kernel.array import Array, Global, PerCpuArray
from penstock.kernel.hash import Hash, PerCpuHash
from penstock.kernel.interface import find_interface
from penstock.kernel.map import Map, create_map, open_pinned_map
from penstock.kernel.program import Program
from penstock.kernel.program_load import load_program
from penstock.kernel.references import ArrayOfMaps, DevMap, ProgArray, XskMap
from penstock.kernel.ringbuf import Ring
from penstock.kernel.tcx import Direction, attach_tcx
from penstock.kernel.xdp import XdpMode, attach_xdp
from penstock.lang import maps as lang
from penstock.lang.program import ProgramKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from penstock.compiler.spec import ProgramSpec
    from penstock.kernel.link import Link
    from penstock.lang.program import Program as SourceProgram

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger(__name__)

_HOOKS: Final = {ProgramKind.XDP: "XDP", ProgramKind.SCHED_CLS: "tc", ProgramKind.SYSCALL: "Python to run"}
_KINDS: Final[dict[type[lang.MapSpec], type[Map]]] = {
    lang.HashMap: Hash,
    lang.LruHash: Hash,
    lang.LpmTrie: Hash,
    lang.PerCpuHash: PerCpuHash,
    lang.ArrayMap: Array,
    lang.PerCpuArray: PerCpuArray,
    lang.Global: Global,
    lang.DevMap: DevMap,
    lang.XskMap: XskMap,
    lang.ProgArray: ProgArray,
    lang.ArrayOfMaps: ArrayOfMaps,
}


def load(
    *specs: ProgramSpec,
    maps: Mapping[lang.MapSpec, Map | str | os.PathLike[str]] | None = None,
    keys: Mapping[SourceProgram, ProgramSpec] | None = None,
) -> Loaded:
    """Create the maps that the programs use and load the programs: all of them, or none.

    Args:
        specs: The programs. A map spec that several of them use is one map.
        maps: Maps that exist already, for these specs: objects, which stay the caller's to close, or pins.
        keys: Further names by which `Loaded` gives out the programs: what they were compiled from.

    Raises:
        VerifierError: The verifier refuses a program.
        KernelError: The kernel lacks something, or the process a capability.
    """
    return Loaded(specs, maps or {}, keys or {})


class Loaded:
    """Programs and maps in the kernel, a context manager: what is attached goes first, then all the rest.

    `loaded[program]` and `loaded[map_spec]` give the objects.
    """

    def __init__(
        self,
        specs: Sequence[ProgramSpec],
        maps: Mapping[lang.MapSpec, Map | str | os.PathLike[str]],
        keys: Mapping[SourceProgram, ProgramSpec],
    ) -> None:
        self._given = maps
        self._maps: dict[lang.MapSpec, Map] = {}
        self._programs: dict[ProgramSpec | SourceProgram, Program] = {}
        with contextlib.ExitStack() as owned:
            self._owned = owned
            for map_spec in maps:
                self._map(map_spec, map_spec.name)
            for spec in specs:
                for map_spec, name in zip(spec.maps, spec.map_names, strict=True):
                    self._map(map_spec, name)
                with features.using(features.PROGRAMS[spec.kind]):
                    self._programs[spec] = owned.enter_context(load_program(spec, self._maps))
            for key, spec in keys.items():
                self._programs[key] = self._programs[spec]
            self._owned = owned.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach, unload and free everything, the last first. Closing twice is allowed."""
        self._owned.close()

    @property
    def maps(self) -> Mapping[lang.MapSpec, Map]:
        """All maps by their specs, to give to another `load`."""
        return self._maps

    def attach_xdp(
        self, program: ProgramSpec | SourceProgram, interface: str | int, mode: XdpMode = "auto"
    ) -> Link:
        """Attach a loaded program to an interface's XDP hook, until the link or all is closed. Linux 5.9.

        Args:
            program: Which.
            interface: Its name or index in the network namespace of the calling thread.
            mode: "native" is the driver's; "generic" runs later, after the kernel has made a packet of the
                frame, and is slower; "auto" is native where the driver can, else generic with a warning.

        Raises:
            KernelError: No such interface, a program is there already (it stays), or no CAP_NET_ADMIN.
        """
        where = find_interface(interface)
        loaded = self._program(program, ProgramKind.XDP)
        with features.using(features.XDP_LINKS):
            return self._owned.enter_context(attach_xdp(loaded, where, mode))

    def attach_tc(
        self,
        program: ProgramSpec | SourceProgram,
        interface: str | int,
        direction: Direction,
        *,
        via: Literal["auto", "tcx", "clsact"] = "auto",
        first: bool = False,
    ) -> Link:
        """Attach a loaded program to an interface's tc hook, until the link or all is closed.

        Args:
            program: Which.
            interface: Its name or index in the network namespace of the calling thread.
            direction: "ingress" or "egress".
            via: "tcx" needs Linux 6.6, "clsact" 4.5 and leaves a filter behind if the process is killed by
                SIGKILL, which the next one to attach so removes; "auto" is TCX where the kernel has it.
            first: Run before the programs that are there now, not after them.

        Raises:
            KernelError: No such interface, or CAP_NET_ADMIN is missing.
        """
        where = find_interface(interface)
        loaded = self._program(program, ProgramKind.SCHED_CLS)
        if via == "tcx" or (via == "auto" and features.TCX.supported()):
            with features.using(features.TCX):
                return self._owned.enter_context(attach_tcx(loaded, where, direction, first=first))
        if via == "auto":
            _log.info("TCX needs Linux 6.6: using clsact on %s", where)
        from penstock.kernel.clsact import ClsactLink  # noqa: PLC0415 (pyroute2 is slow to import)

        return self._owned.enter_context(ClsactLink(loaded, where, direction, first=first))

    @overload
    def __getitem__(self, key: ProgramSpec | SourceProgram) -> Program: ...
    @overload
    def __getitem__(
        self, key: lang.HashMap[K, V] | lang.LruHash[K, V] | lang.LpmTrie[K, V]
    ) -> Hash[K, V]: ...
    @overload
    def __getitem__(self, key: lang.PerCpuHash[K, V]) -> PerCpuHash[K, V]: ...
    @overload
    def __getitem__(self, key: lang.ArrayMap[V]) -> Array[V]: ...
    @overload
    def __getitem__(self, key: lang.PerCpuArray[V]) -> PerCpuArray[V]: ...
    @overload
    def __getitem__(self, key: lang.Global[V]) -> Global[V]: ...
    @overload
    def __getitem__(self, key: lang.RingBuf[V]) -> Ring[V]: ...
    @overload
    def __getitem__(self, key: lang.XskMap) -> XskMap: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __getitem__(self, key: lang.DevMap) -> DevMap: ...
    @overload
    def __getitem__(self, key: lang.ProgArray) -> ProgArray: ...
    @overload
    def __getitem__(self, key: lang.ArrayOfMaps[Any]) -> ArrayOfMaps: ...
    def __getitem__(self, key: Any) -> Any:
        """Return the loaded program or map. KeyError if no loaded program is or uses it."""
        return self._maps[key] if isinstance(key, lang.MapSpec) else self._programs[key]

    @overload
    def create(self, spec: lang.HashMap[K, V] | lang.LruHash[K, V] | lang.LpmTrie[K, V]) -> Hash[K, V]: ...
    @overload
    def create(self, spec: lang.PerCpuHash[K, V]) -> PerCpuHash[K, V]: ...
    @overload
    def create(self, spec: lang.ArrayMap[V]) -> Array[V]: ...
    @overload
    def create(self, spec: lang.PerCpuArray[V]) -> PerCpuArray[V]: ...
    @overload
    def create(self, spec: lang.Global[V]) -> Global[V]: ...
    @overload
    def create(self, spec: lang.RingBuf[V]) -> Ring[V]: ...
    @overload
    def create(self, spec: lang.XskMap) -> XskMap: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def create(self, spec: lang.DevMap) -> DevMap: ...
    @overload
    def create(self, spec: lang.ProgArray) -> ProgArray: ...
    @overload
    def create(self, spec: lang.ArrayOfMaps[Any]) -> ArrayOfMaps: ...
    def create(self, spec: Any) -> Any:
        """Create another map like `spec`, such as an inner one of an `ArrayOfMaps`; it goes with the rest."""
        return self._create(spec, spec.name)

    def _program(self, key: ProgramSpec | SourceProgram, kind: ProgramKind) -> Program:
        program = self[key]
        if program.kind is not kind:
            hook, own = (_HOOKS[each] for each in (kind, program.kind))
            raise KernelError(f"cannot attach {program.name} to {hook}: it is a program for {own}")
        return program

    def _map(self, spec: lang.MapSpec, name: str) -> Map:
        """Return the one map of a spec, which is created, or opened, when it is first met."""
        if spec not in self._maps:
            given = self._given.get(spec)
            if isinstance(given, Map):
                self._maps[spec] = given
            elif given is None:
                self._maps[spec] = self._create(spec, name)
            else:
                self._maps[spec] = self._own(spec, open_pinned_map(spec, given), name)
        return self._maps[spec]

    def _create(self, spec: lang.MapSpec, name: str) -> Map:
        needed = [features.MAPS[spec.kind]] if spec.kind in features.MAPS else []
        if spec.flags & lang.MMAPABLE:
            needed.append(features.MAP_MEMORY)
        with features.using(*needed):
            return self._own(spec, create_map(spec, name), name)

    def _own(self, spec: lang.MapSpec, descriptor: int, name: str) -> Map:
        if isinstance(spec, lang.RingBuf):
            ring = cast("lang.RingBuf[Any]", spec)
            self._map(ring.losses, ring.losses.name)
            return self._owned.enter_context(Ring(ring, descriptor, self[ring.losses], name))
        kind = next(_KINDS[cls] for cls in type(spec).__mro__ if cls in _KINDS)
        return self._owned.enter_context(kind(spec, descriptor, name))
