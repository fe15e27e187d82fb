"""A TCP proxy that loses replies, stalls, cuts and refuses when told to: the bad network between us and a server."""

import contextlib
import socket
import weakref

import gevent
from gevent.event import Event
from gevent.server import StreamServer

from tests.support.redis_server import free_port

CHUNK = 65536


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
        self._lose_replies = self._lose_requests = 0
        self._marker = b""

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
        self._lose_replies, self._marker = count, marker

    def drop_next_request(self, marker: bytes = b"", count: int = 1) -> None:
        """Loses the next ``count`` requests that contain ``marker``, and their connections."""
        self._lose_requests, self._marker = count, marker

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
        tail = b""
        while data := link.receive(link.client):
            self._flowing.wait()
            # A marker may lie across two reads.
            marked = self._marker in tail + data
            tail = data[-max(len(self._marker) - 1, 0) :] if len(self._marker) > 1 else b""
            if marked and self._lose_requests > 0:
                self._lose_requests -= 1
                self.requests_lost += 1
                break
            if marked and self._lose_replies > 0:
                self._lose_replies -= 1
                link.loses_reply = True
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
