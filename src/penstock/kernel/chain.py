"""Penstock's XDP programs on one interface, of several processes: one that measures, then one that forwards.

On the interface is the root (`root.py`), by a link that every process of the chain holds, so that it stays
until the last of them goes. The root finds each program in an array that only the program's process holds:
when that goes, however it ends, the kernel empties the array (`map_release_uref` of program arrays).

Who joins does not take over the array of who went before: the kernel empties that some time later, with
whatever is in it by then. It loads a root with an array of its own and the other program's, and has the link
exchange its root for that.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from penstock.errors import KernelError
from penstock.kernel import features
from penstock.kernel.attributes import LinkInfo
from penstock.kernel.chained import STAGES, ChangedError, Stage, find_root, open_root
from penstock.kernel.handle import object_info
from penstock.kernel.link import BpfLink, Link
from penstock.kernel.load import load
from penstock.kernel.map import create_map
from penstock.kernel.occupant import xdp_occupant, xdp_program
from penstock.kernel.references import ProgArray
from penstock.kernel.root import ROOT
from penstock.kernel.xdp import attach_free_xdp, occupied

if TYPE_CHECKING:
    from penstock.kernel.interface import Interface
    from penstock.kernel.map import Map
    from penstock.kernel.program import Program
    from penstock.kernel.statistics import Statistics
    from penstock.kernel.xdp import XdpMode
    from penstock.lang.maps import MapSpec

_PATIENCE: Final = 2.0
"""s until a program that is there is taken to stay: of one that was killed, nothing is left after some ms."""
_PAUSE: Final = 0.01  # s


class Chain(Link):
    """A program in the chain of an interface, until `close` or the end of the process."""

    def __init__(self, program: Program, root: BpfLink, array: ProgArray) -> None:
        self.program, self.interface, self.how = program.name, root.interface, root.how
        self._root, self._array = root, array
        self._held = ExitStack()
        self._held.enter_context(root)
        self._held.enter_context(array)
        self._held.callback(array.__delitem__, 0)  # at once, and not when the kernel gets round to it

    def replace(self, program: Program) -> None:
        """Have another program in its place from the next packet on."""
        self._array[0] = program
        self.program = program.name

    def statistics(self) -> Statistics:
        """Return the run-time statistics of the whole chain: the kernel has none of the programs in it."""
        with open_root(object_info(self._root.fileno(), LinkInfo).prog_id) as root:
            return root.statistics()

    def alive(self) -> bool:
        """Whether it is still attached: not so once the interface is gone."""
        return self._root.alive()

    def close(self) -> None:
        """Leave the chain. Closing twice is allowed, and so is an interface that is gone."""
        self._held.close()


def join_chain(program: Program, interface: Interface, stage: Stage, mode: XdpMode = "auto") -> Chain:
    """Attach a program beside those of other penstock processes. Linux 5.10, on arm64 6.0.

    Args:
        program: An XDP program.
        interface: Of the calling thread's network namespace.
        stage: What the program does. Of each there is one on an interface.
        mode: As for `Loaded.attach_xdp`. "auto" takes that of the programs that are there.

    Raises:
        KernelError: A program is there that does the same, is somebody else's, or is in another mode; or
            CAP_NET_ADMIN is missing, or CAP_SYS_ADMIN to join others.
    """
    give_up = time.monotonic() + _PATIENCE
    spec = STAGES[stage]
    with ExitStack() as owned:
        array = owned.enter_context(ProgArray(spec, create_map(spec)))
        array[0] = program
        while (link := _begin(array, interface, mode)) is None:
            try:
                link = _join(program, array, interface, stage, mode)
                break
            except ChangedError as error:
                if time.monotonic() > give_up:
                    action = f"attach {program.name} to {interface} as XDP"
                    raise KernelError(f"cannot {action}: {error} ({xdp_occupant(interface)})") from error
            time.sleep(_PAUSE)
        owned.pop_all()
    return Chain(program, link, array)


def _begin(array: ProgArray, interface: Interface, mode: XdpMode) -> BpfLink | None:
    """Attach a root, or return None if a program is there."""
    with features.using(features.CHAINS, features.XDP_LINKS), load(ROOT, maps={array.spec: array}) as loaded:
        return attach_free_xdp(loaded[ROOT], interface, mode)


def _join(program: Program, array: ProgArray, interface: Interface, stage: Stage, mode: XdpMode) -> BpfLink:
    """Exchange the root that is there for one with this array as well."""
    number, attached = xdp_program(interface)
    if number is None:
        raise ChangedError("the XDP program that was there has gone")
    with ExitStack() as held:
        found = find_root(number, held)
        if found is None:
            raise occupied(program, interface)
        if mode not in ("auto", attached):
            action = f"attach {program.name} to {interface} as {mode} XDP"
            raise KernelError(f"cannot {action}: penstock's programs there are {attached}; use that mode")
        if found.arrays[stage].ids():
            raise ChangedError(f"another penstock {stage}s there; end that first")
        maps: dict[MapSpec, Map] = {STAGES[each]: found.arrays[each] for each in found.arrays}
        maps[STAGES[stage]] = array
        with load(ROOT, maps=maps) as loaded:
            found.exchange(loaded[ROOT])
        return BpfLink(ROOT.name, interface, f"XDP {attached}", os.dup(found.link.fileno()))
