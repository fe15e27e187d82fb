"""A TCP proxy that loses replies, stalls, cuts and refuses when told to: the bad network between us and a server."""

import contextlib
import socket
import weakref

import gevent
from gevent.event import Event
from gevent.server import StreamServer

from tests.support.redis_server import free_port

CHUNK = 65536
MARKER_LIMIT = 64


class TcpProxy:
    """Forwards connections to ``host:port`` until told otherwise. Needs a gevent-patched process.

    A lost reply is one the server gave: the request was carried out, and its sender sees a closed connection. A lost
    request is one the server never saw, which looks the same from here.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.replies_lost = 0
        self.requests_lost = 0
        self._target = (host, port)
        self._server: StreamServer | None = None
        self._links: weakref.WeakSet[_Link] = weakref.WeakSet()
        self._flowing = Event()
        self._flowing.set()
        self._lost_replies = self._lost_requests = _Order(b"", 0)

    def __enter__(self) -> "TcpProxy":
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- what it can be told -------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Takes connections (again)."""
        if self._server is None:
            self._server = StreamServer(("127.0.0.1", self.port), self._serve)
            self._server.start()

    def refuse(self) -> None:
        """New connections are refused; those that exist go on."""
        if self._server:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """Closes every connection now, both ways."""
        for link in list(self._links):
            link.close()

    def stall(self) -> None:
        """Holds everything back, also on new connections, until ``resume``; nothing is closed and nothing lost."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def drop_next_reply(self, marker: bytes = b"", count: int = 1) -> None:
        """Loses the replies to the next ``count`` requests that contain ``marker``, and their connections."""
        self._lost_replies = _Order(marker, count)

    def drop_next_request(self, marker: bytes = b"", count: int = 1) -> None:
        """Loses the next ``count`` requests that contain ``marker``, and their connections."""
        self._lost_requests = _Order(marker, count)

    def stop(self) -> None:
        self.refuse()
        self.cut()
        self.resume()

    # --- how it does it ------------------------------------------------------------------------------------------

    def _serve(self, client: socket.socket, _address: object) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server)
        self._links.add(link)
        gevent.joinall([gevent.spawn(self._pump_requests, link), gevent.spawn(self._pump_replies, link)])

    def _pump_requests(self, link: "_Link") -> None:
        before = b""
        while data := link.receive(link.client):
            self._flowing.wait()
            if self._lost_requests.covers(before, data):
                self.requests_lost += 1
                break
            if self._lost_replies.covers(before, data):
                link.loses_reply = True
            before = data[-MARKER_LIMIT:]
            if not link.send(link.server, data):
                break
        link.close()

    def _pump_replies(self, link: "_Link") -> None:
        while data := link.receive(link.server):
            self._flowing.wait()
            if link.loses_reply:
                self.replies_lost += 1
                break
            if not link.send(link.client, data):
                break
        link.close()


class _Order:
    """Told to lose something ``count`` times, for requests that contain ``marker``."""

    def __init__(self, marker: bytes, count: int) -> None:
        assert len(marker) <= MARKER_LIMIT
        self._marker = marker
        self._left = count

    def covers(self, before: bytes, data: bytes) -> bool:
        """Whether this read is one to lose; a marker may lie across two reads, ``before`` is the end of the last."""
        overlap = before[-len(self._marker) + 1 :] if len(self._marker) > 1 else b""
        if self._left == 0 or self._marker not in overlap + data:
            return False
        self._left -= 1
        return True


class _Link:
    """One connection through the proxy: the client's end and the server's."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.loses_reply = False

    def receive(self, end: socket.socket) -> bytes:
        """Bytes, or none when the connection is over."""
        try:
            return end.recv(CHUNK)
        except OSError:
            return b""

    def send(self, end: socket.socket, data: bytes) -> bool:
        try:
            end.sendall(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        for end in (self.client, self.server):
            # shutdown() wakes a greenlet that waits in recv(); close() alone would not.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
