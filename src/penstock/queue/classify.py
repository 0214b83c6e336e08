"""What a scheduler is told of a packet, from its headers."""

from __future__ import annotations

from penstock.lang import Struct, Xdp, be16, be64, u8, u16, u32, u64
from penstock.net.ethernet import IPV4, Link, network_layer
from penstock.net.ip import IPv4, IPv6, Protocol
from penstock.queue.packets import QueuedPacket

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, 132, 33)  # and SCTP, DCCP
_FRAGMENT = 0x3FFF
"""More fragments, or an offset: its other parts have no ports, so none counts."""

_GOLDEN = 0x9E37_79B9_7F4A_7C15


class _Ports(Struct, packed=True):
    source: be16
    destination: be16


def describe(packet: Xdp, entry: QueuedPacket, seed: u64) -> None:
    """Fill in the five-tuple's hash, and what else the headers say. What is not IP is one flow.

    Of IPv6 extension headers nothing is read: ports behind them do not tell flows apart.
    """
    kind, offset = network_layer(packet, Link.ETHERNET)
    entry.flow, entry.protocol, entry.tos, entry.traffic_class = 0, 0, 0, 0
    entry.source_port, entry.destination_port = be16(0), be16(0)
    entry.network = u8(offset)
    if kind == IPV4:
        header = packet.read(IPv4, offset)
        if header is not None:
            _of_class(entry, header.traffic_class)
            entry.protocol = header.protocol
            state = _mixed(seed, u64(u32(header.source)) << 32 | u64(u32(header.destination)))
            if u16(header.fragment) & _FRAGMENT == 0:
                _read_ports(packet, entry, offset + (u32(header.version_length & 0x0F) << 2))
            _finish(entry, state)
            return
    header6 = packet.read(IPv6, offset)
    if header6 is None:
        entry.network = 0
        return
    _of_class(entry, u8(u32(header6.version_class_label) >> 20))
    entry.protocol = header6.next_header
    state = _mixed(seed, _word(header6.source.high) ^ _word(header6.destination.high) * _GOLDEN)
    state = _mixed(state, _word(header6.source.low) ^ _word(header6.destination.low) * _GOLDEN)
    _read_ports(packet, entry, offset + 40)
    _finish(entry, state)


def _word(part: be64) -> u64:
    return u64(part)


def _of_class(entry: QueuedPacket, traffic_class: u8) -> None:
    entry.tos, entry.traffic_class = traffic_class, traffic_class >> 5


def _read_ports(packet: Xdp, entry: QueuedPacket, offset: u32) -> None:
    if entry.protocol in _WITH_PORTS:
        ports = packet.read(_Ports, offset)
        if ports is not None:
            entry.source_port, entry.destination_port = ports.source, ports.destination


def _finish(entry: QueuedPacket, state: u64) -> None:
    ports = u64(u16(entry.source_port)) << 16 | u64(u16(entry.destination_port))
    mixed = _mixed(state, ports << 8 | u64(entry.protocol))
    entry.flow = u32(mixed ^ mixed >> 32)


def _mixed(state: u64, word: u64) -> u64:
    """Multiply and fold: a step of Fibonacci hashing (Knuth, vol. 3, 6.4), so that low bits depend on all."""
    product = (state ^ word) * _GOLDEN
    return product ^ product >> 29
