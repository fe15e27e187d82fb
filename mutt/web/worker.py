"""gunicorn's gevent worker, with what gunicorn leaves to a proxy in front: deadlines, and answers in one write.

- Head and body of an answer leave in one write. A relay on the same host fell to 22 requests a second against a
  server that wrote them apart: Nagle's algorithm held the body back until the relay's delayed acknowledgement.
- A new connection has ten seconds to send its request's head, and so has every later request from its first byte on;
  between requests a connection may be idle for the keep-alive time. (The body's deadline is the application's.)
- When we stop, connections without a request are closed at once.
"""

from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from mutt.observability import logs

FLUSH_BYTES = 64 * 1024

HEAD_SECONDS = 10.0
"""For the head of a request. A client that needs longer holds a connection hostage."""


class ClientSocket:
    """A client's socket that keeps what is sent until the answer is complete and tells when a request begins."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._kept: list[bytes] = []
        self._size = 0
        self.waiting: Waiting | None = None
        self.request: Any = None

    def recv(self, *args: Any) -> bytes:
        data: bytes = self._sock.recv(*args)
        if self.waiting:
            self.waiting.request_begins()
        return data

    def sendall(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        if self._size > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._kept:
            data, self._kept, self._size = b"".join(self._kept), [], 0
            self._sock.sendall(data)

    def close_after_answer(self) -> None:
        """For requests whose body was not read to its end: the connection cannot carry another."""
        self.request.force_close()

    def close(self) -> None:
        self.flush()
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Waiting:
    """The time in which a connection's next request is to come; ends it quietly when the time is over."""

    def __init__(self, client: ClientSocket, waiting: set[gevent.Greenlet], idle_seconds: float) -> None:
        self._client = client
        self._waiting = waiting
        self._begun = client.request is None
        self._timeout = gevent.Timeout(HEAD_SECONDS if self._begun else idle_seconds, False)

    def __enter__(self) -> None:
        self._client.waiting = self
        self._timeout.start()
        self._waiting.add(gevent.getcurrent())

    def __exit__(self, kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        self._client.waiting = None
        self._timeout.cancel()
        self._waiting.discard(gevent.getcurrent())
        return error is self._timeout

    def request_begins(self) -> None:
        """The first bytes have come: from now on it is the head's deadline that counts."""
        if not self._begun:
            self._begun = True
            self._timeout.cancel()
            self._timeout = gevent.Timeout(HEAD_SECONDS, False)
            self._timeout.start()
            self._waiting.discard(gevent.getcurrent())


class ApplianceWorker(GeventWorker):  # type: ignore[misc]
    """The worker class of both HTTP applications."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[gevent.Greenlet, ClientSocket] = {}
        self._waiting: set[gevent.Greenlet] = set()

    def patch(self) -> None:
        super().patch()
        logs.catch_greenlets()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        connection = gevent.getcurrent()
        self._clients[connection] = ClientSocket(client)
        try:
            super().handle(listener, self._clients[connection], addr)
        finally:
            del self._clients[connection]

    def timeout_ctx(self) -> Waiting:
        return Waiting(self._clients[gevent.getcurrent()], self._waiting, self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        sock.request = req
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()

    def notify(self) -> None:
        """gunicorn calls this every second, also while it waits for the last requests to end."""
        super().notify()
        if not self.alive:
            # A connection without a request has nothing to finish; gunicorn would wait for it until it gives up.
            for connection in list(self._waiting):
                connection.kill(StopIteration, block=False)
