"""Who sends most: python examples/talkers.py eth0."""

import sys
import time

import numpy as np

import penstock
from penstock.lang import TC_UNSPEC, LruHash, Struct, Tc, atomic, tc, u64
from penstock.net.ethernet import Link
from penstock.net.ip import Address, Found, Layers, read_layers
from penstock.rtt.naming import name_address


class Sent(Struct):
    packets: u64
    bytes: u64


senders = LruHash(Address, Sent, 10_000)


@tc
def account(packet: Tc) -> int:
    layers = Layers()
    if read_layers(packet, Link.ETHERNET, layers) < Found.IP:
        return TC_UNSPEC
    sent = senders.lookup(layers.source)
    if sent is None:
        senders.update(layers.source, Sent(packets=1, bytes=u64(layers.length)))
    else:
        atomic.add(sent.packets, 1)
        atomic.add(sent.bytes, u64(layers.length))
    return TC_UNSPEC


def main(interface: str, seconds: float = 10) -> list[tuple[str, int]]:
    with penstock.load(account) as loaded:
        loaded.attach_tc(account, interface, "ingress")
        time.sleep(seconds)
        addresses, sent = loaded[senders].read()
    top = np.argsort(sent["bytes"])[::-1][:10]
    return [(name_address(addresses[i].tobytes()), int(sent["bytes"][i])) for i in top]


if __name__ == "__main__":
    for sender, volume in main(sys.argv[1]):
        print(f"{volume:12} {sender}")
