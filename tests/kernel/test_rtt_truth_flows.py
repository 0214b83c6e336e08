"""Flow events of `penstock rtt`, against the flags in a capture of the same packets."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from statistics import median

import pytest

from penstock.lab import exchange, ping
from tests.conftest import Middlebox
from tests.kernel.rtt_measure import Measurement, one_cpu
from tests.truth import Change, captured_packets, flow_changes

RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # struct linger


def changes(measured: Measurement) -> list[Change]:
    found = [each for each in measured.objects if "flow_event" in each]
    return [Change(*(each[field] for field in Change._fields)) for each in found]


def talk_and_reset(box: Middlebox, who: str) -> None:
    """A connection that one side resets: with timestamps, as it has the connection; the other's are gone."""
    with box.b.enter():
        listener = socket.create_server((box.b.address(4), 0))
    with box.a.enter():
        client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    with listener, client, server:
        for _ in range(3):
            client.sendall(b"question")
            server.recv(100)
            server.sendall(b"answer")
            client.recv(100)
            time.sleep(0.005)
        end = client if who == "client" else server
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        end.close()
        time.sleep(0.05)


@pytest.mark.parametrize("syn", [False, True], ids=["", "SYN packets"])
@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_flows_open_and_close_as_the_traffic_does(
    middlebox: Middlebox, tmp_path: Path, ingress: str, *, syn: bool
) -> None:
    options = ["--rate-limit=0", "--ingress", ingress, *(["--include-syn"] if syn else [])]
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        exchange(middlebox.a, middlebox.b, flows=10, seconds=0.5, reconnect=True).wait()
        exchange(middlebox.b, middlebox.a, flows=3, seconds=0.5, version=6).wait()
        ping(middlebox.a, middlebox.b, count=3)
        for who in ("client", "server"):
            talk_and_reset(middlebox, who)
    reported = sorted(changes(measured), key=lambda each: (each[1:], each.timestamp))
    captured = flow_changes(captured_packets(measured.capture(middlebox.towards_a)), syn=syn)
    captured.sort(key=lambda each: (each[1:], each.timestamp))
    assert [each[1:] for each in reported] == [each[1:] for each in captured]
    apart = [abs(one.timestamp - other.timestamp) for one, other in zip(reported, captured, strict=True)]
    assert median(apart) < 20_000
    kinds = {(each.flow_event, each.reason, each.triggered_by) for each in captured}
    assert kinds == {
        ("opening", "SYN", "dest"),
        ("opening", "SYN-ACK", "dest"),
        ("opening", "first observed packet", "dest"),
        ("closing", "FIN", "dest"),
        ("closing", "RST", "dest"),
        ("closing", "RST", "src"),
    }


def test_data_to_a_closed_end_is_answered_by_a_reset_without_timestamps(
    middlebox: Middlebox, tmp_path: Path
) -> None:
    """As RFC 7323, 3.2, allows and Linux does: the flow has ended all the same."""
    with Measurement(tmp_path, middlebox.towards_a) as measured, one_cpu():
        with middlebox.b.enter():
            listener = socket.create_server((middlebox.b.address(4), 0))
        with middlebox.a.enter():
            client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with listener, client:
            client.sendall(b"question")
            server.recv(100)
            server.sendall(b"answer")
            client.recv(100)
            server.close()
            time.sleep(0.05)
            client.sendall(b"more")
            time.sleep(0.05)
    captured = flow_changes(captured_packets(measured.capture(middlebox.towards_a)))
    assert sorted(each[1:] for each in changes(measured)) == sorted(each[1:] for each in captured)
    assert [each.reason for each in captured if each.flow_event == "closing"] == ["FIN", "RST"]
    assert "TCP packets without timestamps" not in measured.numbers
