"""Drop what comes from some networks: python examples/block.py eth0 192.0.2.0/24 198.51.100.0/24."""

import ipaddress
import signal
import sys

import penstock
from penstock.lang import XDP_DROP, XDP_PASS, LpmTrie, Struct, Xdp, atomic, be32, u32, u64, xdp
from penstock.net import ethernet
from penstock.net.ethernet import Link, network_layer
from penstock.net.ip import IPv4


class Network(Struct):
    prefix: u32
    address: be32


blocked = LpmTrie(Network, u64, 1024)


@xdp
def block(packet: Xdp) -> int:
    kind, offset = network_layer(packet, Link.ETHERNET)
    if kind != ethernet.IPV4:
        return XDP_PASS
    header = packet.read(IPv4, offset)
    if header is None:
        return XDP_PASS
    dropped = blocked.lookup(Network(prefix=32, address=header.source))
    if dropped is None:
        return XDP_PASS
    atomic.add(dropped.value, 1)
    return XDP_DROP


def network(text: str) -> Network:
    net = ipaddress.IPv4Network(text)
    return Network(prefix=net.prefixlen, address=be32(int(net.network_address)))


def main(interface: str, networks: list[str]) -> dict[str, int]:
    with penstock.load(block) as loaded:
        for text in networks:
            loaded[blocked][network(text)] = 0
        loaded.attach_xdp(block, interface)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        return {f"{dotted(key)}/{key.prefix}": count for key, count in loaded[blocked].items()}


def dotted(key: Network) -> str:
    return str(ipaddress.IPv4Address(int(key.address)))


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    print(main(sys.argv[1], sys.argv[2:]))
