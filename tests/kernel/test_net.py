"""Headers found in packets, by programs in the kernel that write down what they found."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import penstock
from penstock.kernel import Loaded
from penstock.lang import TC_OK, XDP_PASS, Global, Program, Struct, Tc, Xdp, tc, u32, xdp
from penstock.net.ethernet import Link
from penstock.net.ip import Found, Layers, read_layers
from penstock.net.tcp import TCP, Timestamps, header_length, read_timestamps
from tests.net import frames
from tests.net.frames import chain, ethernet, extension, ipv4, ipv6, tcp, timestamps

A, B = "192.0.2.1", "198.51.100.2"
A6, B6 = "2001:db8::1", "2001:db8:ffff::2"
WITH_EXTENSIONS = [
    frames.HOP_BY_HOP,
    frames.ROUTING,
    frames.DESTINATION,
    frames.FRAGMENT,
    frames.AUTHENTICATION,
    frames.MOBILITY,
    frames.HIP,
    frames.SHIM6,
]


class Note(Struct):
    found: u32
    has_timestamps: bool
    layers: Layers
    timestamps: Timestamps


note = Global(Note)


def write_down(packet: Xdp, link: Link) -> None:
    layers = Layers()
    stamps = Timestamps()
    note.value.found = read_layers(packet, link, layers)
    note.value.layers = layers
    header = packet.read(TCP, layers.transport)
    if header is not None:
        length = header_length(header)
        note.value.has_timestamps = read_timestamps(packet, layers.transport, length, stamps)
        note.value.timestamps = stamps


@xdp
def on_ethernet(packet: Xdp) -> int:
    write_down(packet, Link.ETHERNET)
    return XDP_PASS


@xdp
def on_bare_ip(packet: Xdp) -> int:
    write_down(packet, Link.NONE)
    return XDP_PASS


@tc
def in_tc(packet: Tc) -> int:
    layers = Layers()
    note.value.found = read_layers(packet, Link.ETHERNET, layers)
    note.value.layers = layers
    return TC_OK


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with penstock.load(on_ethernet, on_bare_ip, in_tc) as loaded:
        yield loaded


@dataclass
class Reader:
    loaded: Loaded

    def __call__(self, frame: bytes, program: Program = on_ethernet) -> Note:
        self.loaded[note].value = Note()
        self.loaded[program].test_run(frame)
        return self.loaded[note].value


@pytest.fixture
def read(loaded: Loaded) -> Reader:
    return Reader(loaded)


def text(address: object) -> str:
    found = ipaddress.IPv6Address(bytes(address))
    return str(found.ipv4_mapped or found)


def test_ipv4(read: Reader) -> None:
    seen = read(ethernet(ipv4(A, B, 17, bytes(30), traffic_class=0xB9)))
    layers = seen.layers
    assert seen.found == Found.TRANSPORT
    assert (text(layers.source), text(layers.destination)) == (A, B)
    assert (layers.protocol, layers.traffic_class, layers.is_ipv6) == (17, 0xB9, False)
    assert (layers.length, layers.transport, layers.transport_length) == (50, 34, 30)


def test_ipv6(read: Reader) -> None:
    seen = read(ethernet(ipv6(A6, B6, 17, bytes(30), traffic_class=0xB9)))
    layers = seen.layers
    assert seen.found == Found.TRANSPORT
    assert (text(layers.source), text(layers.destination)) == (A6, B6)
    assert (layers.protocol, layers.traffic_class, layers.is_ipv6) == (17, 0xB9, True)
    assert (layers.length, layers.transport, layers.transport_length) == (70, 54, 30)


@pytest.mark.parametrize("words", range(11))
def test_ipv4_options(read: Reader, words: int) -> None:
    seen = read(ethernet(ipv4(A, B, 6, bytes(24), options=b"\1" * 4 * words)))
    assert seen.found == Found.TRANSPORT
    assert (seen.layers.transport, seen.layers.transport_length) == (34 + 4 * words, 24)


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("tag", [frames.VLAN, frames.QINQ, 0x9100])
def test_up_to_three_tags(read: Reader, count: int, tag: int) -> None:
    tags = (tag,) * max(count - 1, 0) + (frames.VLAN,) * (count > 0)
    seen = read(ethernet(ipv6(A6, B6, 6, bytes(24)), tags=tags))
    assert seen.found == (Found.TRANSPORT if count <= 3 else Found.NOT_IP)
    assert seen.layers.transport == (54 + 4 * count if count <= 3 else 0)


@pytest.mark.parametrize("kind", [frames.ARP, 0x8847, 0x05DC, 0xFFFF])
def test_other_ethertypes(read: Reader, kind: int) -> None:
    assert read(ethernet(bytes(60), kind)).found == Found.NOT_IP


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(A, B, 6, bytes(40), version=6),
        ipv4(A, B, 6, bytes(40), words=4),
        ipv4(A, B, 6, bytes(40), words=0),
        ipv6(A6, B6, 6, bytes(40), version=4),
    ],
    ids=["version 6", "header of 16 bytes", "header of 0 bytes", "version 4"],
)
def test_headers_that_are_not_what_the_ethertype_says(read: Reader, packet: bytes) -> None:
    kind = frames.IPV6 if packet[0] == 0x40 and len(packet) == 80 else frames.IPV4
    assert read(ethernet(packet, kind)).found == Found.NOT_IP


def test_interfaces_without_a_link_layer(read: Reader) -> None:
    for packet, offset in ((ipv4(A, B, 6, bytes(24)), 20), (ipv6(A6, B6, 6, bytes(24)), 40)):
        seen = read(packet, on_bare_ip)
        assert (seen.found, seen.layers.transport) == (Found.TRANSPORT, offset)
    assert read(b"\x50" + bytes(60), on_bare_ip).found == Found.NOT_IP


@pytest.mark.parametrize("kind", WITH_EXTENSIONS)
@pytest.mark.parametrize("units", [0, 1, 30])
def test_each_extension_header(read: Reader, kind: int, units: int) -> None:
    header = extension(kind, units=units)
    first, content = chain([header], [kind], 6, bytes(24))
    seen = read(ethernet(ipv6(A6, B6, first, content)))
    assert (seen.found, seen.layers.protocol) == (Found.TRANSPORT, 6)
    assert seen.layers.transport == 54 + len(header)
    assert seen.layers.transport_length == 24


@pytest.mark.parametrize("count", range(1, 11))
def test_up_to_eight_extension_headers(read: Reader, count: int) -> None:
    kinds = [WITH_EXTENSIONS[n % 3] for n in range(count)]
    first, content = chain([extension(kind) for kind in kinds], kinds, 6, bytes(24))
    seen = read(ethernet(ipv6(A6, B6, first, content)))
    assert seen.found == (Found.TRANSPORT if count <= 8 else Found.IP)
    if count <= 8:
        assert (seen.layers.protocol, seen.layers.transport) == (6, 54 + 8 * count)


@pytest.mark.parametrize(
    ("fragment", "found"), [(0x2000, 3), (0x4000, 3), (0x2001, 2), (0x00B9, 2), (0x1FFF, 2)]
)
def test_ipv4_fragments_have_a_transport_header_at_offset_0_only(
    read: Reader, fragment: int, found: int
) -> None:
    assert read(ethernet(ipv4(A, B, 6, bytes(24), fragment=fragment))).found == found


@pytest.mark.parametrize(("offset", "found"), [(0, Found.TRANSPORT), (1, Found.IP), (0x1FFF, Found.IP)])
def test_ipv6_fragments_have_a_transport_header_at_offset_0_only(
    read: Reader, offset: int, found: Found
) -> None:
    first, content = chain([extension(frames.FRAGMENT, offset=offset)], [frames.FRAGMENT], 6, bytes(24))
    assert read(ethernet(ipv6(A6, B6, first, content))).found == found


def test_lengths_are_those_of_the_ip_header(read: Reader) -> None:
    padded = read(ethernet(ipv4(A, B, 6, bytes(20)) + bytes(400))).layers
    assert (padded.length, padded.transport_length) == (40, 20)
    padded = read(ethernet(ipv6(A6, B6, 6, bytes(20)) + bytes(400))).layers
    assert (padded.length, padded.transport_length) == (60, 20)


@pytest.mark.parametrize("program", [on_ethernet, in_tc], ids=["xdp", "tc"])
def test_a_length_of_0_is_that_of_a_super_packet(read: Reader, program: Program) -> None:
    seen = read(ethernet(ipv4(A, B, 6, bytes(2000), length=0)), program).layers
    assert (seen.length, seen.transport_length) == (2020, 2000)
    seen = read(ethernet(ipv6(A6, B6, 6, bytes(2000), length=0)), program).layers
    assert (seen.length, seen.transport_length) == (2040, 2000)


def test_lengths_too_short_for_their_headers(read: Reader) -> None:
    assert read(ethernet(ipv4(A, B, 6, bytes(40), options=bytes(8), length=27))).found == Found.IP
    first, content = chain([extension(frames.ROUTING)], [frames.ROUTING], 6, bytes(40))
    assert read(ethernet(ipv6(A6, B6, first, content, length=7))).found == Found.IP


def test_cut_at_every_byte(read: Reader) -> None:
    options = ipv4(A, B, 6, b"", options=bytes(12))
    kinds = [frames.HOP_BY_HOP, frames.AUTHENTICATION, frames.FRAGMENT]
    first, content = chain([extension(kind) for kind in kinds], kinds, 6, b"")
    extended = ipv6(A6, B6, first, content)
    for packet, needed in ((options, 20), (extended, 40 + 8 + 12 + 4)):
        for tags in ((), (frames.VLAN,), (frames.QINQ, frames.VLAN)):
            frame = ethernet(packet, tags=tags)
            enough = 14 + 4 * len(tags) + needed
            for length in range(14, len(frame)):
                expected = Found.TRANSPORT if length >= enough else Found.CUT
                assert read(frame[:length]).found == expected, (tags, length)


def stamps_of(read: Reader, options: bytes, *, cut: int = 0) -> tuple[int, int] | None:
    """The timestamps found in a segment with these options and no data."""
    frame = ethernet(ipv4(A, B, 6, tcp(1, 2, options=options)))
    seen = read(frame[: len(frame) - cut])
    assert seen.found == Found.TRANSPORT
    return (seen.timestamps.value, seen.timestamps.echo) if seen.has_timestamps else None


STAMPS = timestamps(0x01020304, 0xF1F2F3F4)
EXPECTED = (0x01020304, 0xF1F2F3F4)
MSS, SACK_OK, SCALE = b"\2\4\5\xb4", b"\4\2", b"\3\3\7"


@pytest.mark.parametrize(
    "options",
    [
        b"\1\1" + STAMPS,
        STAMPS + b"\0\0",
        STAMPS + b"\1\1",
        b"\1" + STAMPS + b"\0",
        MSS + SACK_OK + STAMPS + b"\1" + SCALE,
        MSS + b"\1\1" + STAMPS,
        b"\1\1\1\1\1\1" + STAMPS,
        b"\1\1" + STAMPS + b"\1\1\5\x12" + bytes(16),
        b"\1\1\5\x12" + bytes(16) + b"\1\1" + STAMPS,
        b"\xfd\2" + b"\xfe\6" + bytes(4) + STAMPS + b"\0\0",
    ],
)
def test_timestamps_among_options(read: Reader, options: bytes) -> None:
    assert stamps_of(read, options) == EXPECTED


@pytest.mark.parametrize(
    "options",
    [
        b"",
        MSS,
        b"\0\0" + STAMPS,
        b"\1\1\x08\x09" + STAMPS[2:],
        b"\2\0" + STAMPS,
        b"\2\1" + STAMPS,
        b"\2\xff" + STAMPS,
        b"\1\1" + b"\x05\x0a" + STAMPS[2:],
        b"\1" * 27 + b"\0" + STAMPS + b"\0\0",
    ],
)
def test_no_timestamps_among_options(read: Reader, options: bytes) -> None:
    assert stamps_of(read, options) is None


@pytest.mark.parametrize("words", [5, 6, 7])
def test_data_is_no_option(read: Reader, words: int) -> None:
    for options in (b"\1\1" + STAMPS, STAMPS):
        seen = read(ethernet(ipv4(A, B, 6, tcp(1, 2, options=options, words=words))))
        assert not seen.has_timestamps


def test_the_last_byte_of_an_option_is_in_the_header(read: Reader) -> None:
    segment = tcp(1, 2, options=b"\1\1\1" + STAMPS + bytes(3), words=8)
    assert not read(ethernet(ipv4(A, B, 6, segment))).has_timestamps


def test_sixteen_options_are_looked_at(read: Reader) -> None:
    assert stamps_of(read, b"\1" * 15 + STAMPS + bytes(3)) == EXPECTED
    assert stamps_of(read, b"\1" * 16 + STAMPS + bytes(2)) is None


@pytest.mark.parametrize("options", [b"\1\1" + STAMPS, MSS + SACK_OK + STAMPS])
def test_timestamps_cut_at_every_byte(read: Reader, options: bytes) -> None:
    for cut in range(1, len(options) + 20):
        assert stamps_of(read, options, cut=cut) is None
