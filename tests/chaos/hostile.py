"""Hostile HTTP clients on bare sockets, each of which reports how it was answered and when it was cut off."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

import gevent

CHUNK = 256 * 1024
PATIENCE_SECONDS = 30.0
"""A client that nobody has cut off by then gives up."""


class Answer(NamedTuple):
    """The status (0: none came) and the seconds until the server had closed the connection."""

    status: int
    seconds: float


def send_bytes(port: int, content: bytes) -> Answer:
    """Sends it all as fast as it goes."""
    return _converse(port, lambda connection: connection.sendall(content))


def stream(port: int, head: bytes, megabytes: int, chunked: bool) -> Answer:
    """Sends ``megabytes`` of body after the head, whatever the server says meanwhile."""
    block = b"x" * CHUNK
    if chunked:
        block = b"%x\r\n%s\r\n" % (len(block), block)

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(megabytes * 1024 * 1024 // CHUNK):
            connection.sendall(block)

    return _converse(port, send)


def send_slowly(port: int, content: bytes, at_once: int = 0) -> Answer:
    """Sends the first ``at_once`` bytes at once, then one byte every half second; after the content, more of it."""

    def send(connection: socket.socket) -> None:
        connection.sendall(content[:at_once])
        rest = content[at_once:]
        while content:
            for byte in rest or b"x" * 100:
                gevent.sleep(0.5)
                connection.sendall(bytes([byte]))
            rest = b""

    return _converse(port, send)


def _converse(port: int, send: Callable[[socket.socket], None]) -> Answer:
    started = time.monotonic()
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)) as connection:
        connection.settimeout(None)
        sender = gevent.spawn(_quietly, send, connection)
        try:
            with gevent.Timeout(PATIENCE_SECONDS, False):
                received = _receive_all(connection)
                return Answer(_status(received), time.monotonic() - started)
            return Answer(-1, time.monotonic() - started)
        finally:
            sender.kill()


def _quietly(send: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # The server has hung up, as it should.
        send(connection)


def _receive_all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except OSError:
        pass
    return received


def _status(received: bytes) -> int:
    words = received.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") else 0
