"""Where flows open and close in a capture, as ePPing tells it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.truth.packet import FIN, RST, Packet
from tests.truth.rtts import NAMES, text


class Change(NamedTuple):
    """A flow event, with the fields of ePPing's output.

    It is about the direction from `dest` to `src`, named like RTTs after the replies. That opens when the
    first packet that asks for an answer has got one, no reset, and as of that packet. It closes when its
    sender sends FIN or either side RST; who did is `triggered_by`.
    """

    timestamp: int
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    protocol: str
    flow_event: str
    reason: str
    triggered_by: str


@dataclass
class _Direction:
    asked: int = 0
    reason: str = ""
    opened: bool = False
    ended: bool = False

    def ask(self, time: int, reason: str) -> None:
        if not self.reason:
            self.asked, self.reason = time, reason


def flow_changes(packets: Iterable[tuple[int, Packet]], *, syn: bool = False) -> list[Change]:
    """Return the changes of flows in packets given with their times in ns.

    Without `syn`, SYN-ACKs only tell that there was a handshake, and SYNs nothing.
    """
    flows: dict[object, dict[object, _Direction]] = {}
    found: list[Change] = []
    for time, packet in packets:
        name = packet.protocol, frozenset(packet[1:3])
        if name not in flows and (not packet.timed or packet.ends):
            continue
        flow = flows.setdefault(name, {packet.source: _Direction(), packet.target: _Direction()})
        own, other = flow[packet.source], flow[packet.target]
        if packet.syn and not syn:
            if packet.answers is not None:
                own.ask(time, "SYN-ACK")
                other.ask(time, "SYN")
            continue
        found += _open(time, packet, own, other)
        found += _close(time, packet, own, other)
        if own.ended and other.ended and not packet.ends & FIN:
            del flows[name]
    return found


def _open(time: int, packet: Packet, own: _Direction, other: _Direction) -> list[Change]:
    if packet.timed:
        handshake = "SYN" if packet.answers is None else "SYN-ACK"
        own.ask(time, handshake if packet.syn else "first observed packet")
    if not other.reason or other.opened or other.ended or packet.ends & RST:
        return []
    other.opened = True
    return [_change(other.asked, packet, "opening", other.reason, "dest")]


def _close(time: int, packet: Packet, own: _Direction, other: _Direction) -> list[Change]:
    changes: list[Change] = []
    reason = "RST" if packet.ends & RST else "FIN"
    if packet.ends and own.opened and not own.ended:
        changes.append(_change(time, packet.reverse(), "closing", reason, "dest"))
    if packet.ends & RST and other.opened and not other.ended:
        changes.append(_change(time, packet, "closing", reason, "src"))
    own.ended |= packet.ends != 0
    other.ended |= packet.ends & RST != 0
    return changes


def _change(time: int, packet: Packet, event: str, reason: str, trigger: str) -> Change:
    """Return a change of the direction towards who sent the packet."""
    (source, source_port), (target, target_port) = packet.source, packet.target
    ends = text(source), source_port, text(target), target_port
    return Change(time, *ends, NAMES[packet.protocol], event, reason, trigger)
