"""A server that answers what the test says, HTTP or not."""

import re
import socket
from collections.abc import Iterable

import gevent
from gevent.server import StreamServer


class RawServer:
    """Answers every request with ``pieces``, ``pause_seconds`` apart, then closes; ``keeps`` waits for the next one."""

    def __init__(self, pieces: Iterable[bytes], pause_seconds: float = 0.0, keeps: bool = False) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._pieces = pieces
        self._pause_seconds = pause_seconds
        self._keeps = keeps
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> "RawServer":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0.1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/webhook"

    def _serve(self, connection: socket.socket, _address: object) -> None:
        self.connections += 1
        try:
            while request := read_request(connection):
                self.requests.append(request)
                for piece in self._pieces:
                    connection.sendall(piece)
                    gevent.sleep(self._pause_seconds)
                if not self._keeps:
                    break
        except OSError:
            pass  # The client may go first.
        finally:
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    """One whole request, headers and body; empty when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
