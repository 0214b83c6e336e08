"""Count the packets of each IP protocol: python examples/protocols.py eth0."""

import sys
import time

import penstock
from penstock.lang import XDP_PASS, PerCpuArray, Xdp, u32, u64, xdp
from penstock.net.ethernet import Link
from penstock.net.ip import Found, Layers, read_layers

packets = PerCpuArray(u64, 256)


@xdp
def count(packet: Xdp) -> int:
    layers = Layers()
    if read_layers(packet, Link.ETHERNET, layers) >= Found.IP:
        counter = packets.lookup(u32(layers.protocol))
        if counter is not None:
            counter.value += 1
    return XDP_PASS


def main(interface: str, seconds: float = 10) -> dict[int, int]:
    with penstock.load(count) as loaded:
        loaded.attach_xdp(count, interface)
        time.sleep(seconds)
        totals = loaded[packets].read().sum(axis=1)
    return {protocol: int(total) for protocol, total in enumerate(totals) if total}


if __name__ == "__main__":
    print(main(sys.argv[1]))
