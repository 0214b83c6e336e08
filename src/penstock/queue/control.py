"""Talking to a queue that runs in another process: one line of JSON there, one back.

The socket is abstract (unix(7)): it belongs to the network namespace, and goes with its process. Only root,
or the user who runs the queue, is answered.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from penstock.errors import KernelError, PenstockError

_TIMEOUT: Final = 30.0
_LONGEST: Final = 1 << 20
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: process, user, group

_log = logging.getLogger(__name__)

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def _address(ifindex: int) -> str:
    return f"\0penstock/queue/{ifindex}"


class Control:
    """Answers requests about the queue before an interface; a thread of its own."""

    def __init__(self, ifindex: int, interface: str, answer: Answer) -> None:
        """Start to listen. KernelError if there is a queue before that interface."""
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(_address(ifindex))
        except OSError as error:
            self._socket.close()
            owner = _owner(ifindex)
            who = f"process {owner} does" if owner else "another process has its address"
            raise KernelError(f"cannot queue before {interface}: {who}") from error
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            with connection:
                connection.settimeout(_TIMEOUT)
                try:
                    self._reply(connection)
                except (OSError, ValueError):  # whoever asked went away, or asked nonsense: not our loss
                    continue

    def _reply(self, connection: socket.socket) -> None:
        _, user, _ = _peer(connection)
        if user not in (0, os.geteuid()):
            return
        request = json.loads(_line(connection))
        try:
            reply = json.dumps(self._answer(request))
        except PenstockError as error:
            reply = json.dumps({"error": str(error)})
        except Exception as error:  # noqa: BLE001  # whoever asked is told, and the queue goes on
            _log.exception("cannot answer %s", request)
            reply = json.dumps({"error": f"{type(error).__name__}: {error}"})
        connection.sendall(reply.encode() + b"\n")


def ask(ifindex: int, interface: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the queue before an interface. KernelError if there is none, or it says why it cannot."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT)
        try:
            connection.connect(_address(ifindex))
            _, user, _ = _peer(connection)
            if user not in (0, os.geteuid()):
                raise KernelError(f"cannot ask the queue before {interface}: user {user} runs it, not you")
            connection.sendall(json.dumps(request).encode() + b"\n")
            line = _line(connection)
        except ConnectionRefusedError:
            raise KernelError(f"no queue before {interface}: start one with penstock queue run") from None
        except OSError as error:
            raise KernelError(f"cannot ask the queue before {interface}: {error}") from error
    if not line:
        raise KernelError(f"the queue before {interface} is another user's: ask as that one, or as root")
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        raise KernelError(str(reply["error"]))
    return reply


def _line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.readline(_LONGEST)


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    """The process at the other end, its user and group."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(found)
    return process, user, group


def _owner(ifindex: int) -> int:
    """The process that listens; 0 if it is not there yet, or not any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, suppress(OSError):
        connection.connect(_address(ifindex))
        return _peer(connection)[0]
    return 0
