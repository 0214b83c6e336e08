"""TCP flows of given DSCPs, and how much of each arrives: both ends, run as processes.

`flows.py serve ADDRESS FLOWS BEGIN END` prints its port, and then how many bytes each flow brought between
these times, in s from the last connection on. `flows.py send ADDRESS PORT DSCP…` sends until the server ends.
"""

import json
import selectors
import socket
import sys
import time

ZEROS = bytes(1 << 18)


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address: str, flows: int, begin: float, end: float) -> None:
    listener = socket.create_server((address, 0), family=family_of(address))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    selector, buffer, counted = selectors.DefaultSelector(), bytearray(1 << 20), [0] * flows
    for number in range(flows):
        selector.register(listener.accept()[0], selectors.EVENT_READ, number)
    start = time.monotonic()
    while (passed := time.monotonic() - start) < end:
        for key, _ in selector.select(0.1):
            size = key.fileobj.recv_into(buffer)
            if passed >= begin:
                counted[key.data] += size
    sys.stdout.write(f"{json.dumps(counted)}\n")


def send(address: str, port: int, codepoints: list[int]) -> None:
    selector = selectors.DefaultSelector()
    for codepoint in codepoints:
        flow = socket.socket(family_of(address))
        flow.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, codepoint << 2)
        if flow.family is socket.AF_INET6:
            flow.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, codepoint << 2)
        flow.connect((address, port))  # one after the other, so that the server knows them by their order
        flow.setblocking(False)
        selector.register(flow, selectors.EVENT_WRITE)
    try:
        while True:
            for key, _ in selector.select():
                key.fileobj.send(ZEROS)
    except OSError:  # the server has ended
        return


def main() -> None:
    how, address, *numbers = sys.argv[1:]
    if how == "serve":
        serve(address, int(numbers[0]), float(numbers[1]), float(numbers[2]))
    else:
        send(address, int(numbers[0]), list(map(int, numbers[1:])))


if __name__ == "__main__":
    main()
