"""Print every TCP connection that is opened: python examples/connections.py eth0."""

import sys
import time
from collections.abc import Iterator

import penstock
from penstock.lang import TC_UNSPEC, RingBuf, Struct, Tc, be16, helpers, tc, u64
from penstock.net.ethernet import Link
from penstock.net.ip import Address, Found, Layers, Protocol, read_layers
from penstock.net.tcp import ACK, SYN, TCP
from penstock.rtt.naming import name_address


class Opened(Struct):
    time: u64
    source: Address
    destination: Address
    port: be16


opened = RingBuf(Opened, 1 << 20)


@tc
def watch(packet: Tc) -> int:
    layers = Layers()
    if read_layers(packet, Link.ETHERNET, layers) != Found.TRANSPORT or layers.protocol != Protocol.TCP:
        return TC_UNSPEC
    header = packet.read(TCP, layers.transport)
    if header is None or header.flags & (SYN | ACK) != SYN:
        return TC_UNSPEC
    record = opened.reserve()
    if record is not None:
        record.time = helpers.ktime_get_ns()
        record.source = layers.source
        record.destination = layers.destination
        record.port = header.destination
        opened.submit(record)
    return TC_UNSPEC


def main(interface: str, seconds: float = float("inf")) -> Iterator[str]:
    deadline = time.monotonic() + seconds
    with penstock.load(watch) as loaded:
        loaded.attach_tc(watch, interface, "ingress")
        ring = loaded[opened]
        while time.monotonic() < deadline:
            ring.wait(0.1)
            for record in ring.read():
                source, destination = (
                    name_address(record[end].tobytes()) for end in ("source", "destination")
                )
                yield f"{source} -> {destination} port {record['port']}"
        yield f"{ring.lost} lost"


if __name__ == "__main__":
    for line in main(sys.argv[1]):
        print(line, flush=True)
