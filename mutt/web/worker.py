"""gunicorn's gevent worker with one difference: head and body of an answer leave in one write.

A relay on the same host fell to 22 requests a second against a server that wrote them apart: Nagle's algorithm held
the body back until the relay's delayed acknowledgement of the head.
"""

from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

FLUSH_BYTES = 64 * 1024


class OneWriteSocket:
    """A client's socket that keeps what is sent until the answer is complete."""

    def __init__(self, sock: Any, request: Any) -> None:
        self._sock = sock
        self._request = request
        self._kept: list[bytes] = []
        self._size = 0

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
        self._request.force_close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Idle:
    """The time a connection waits for its next request: at most the keep-alive time, and no longer once we stop."""

    def __init__(self, waiting: set[gevent.Greenlet], seconds: float) -> None:
        self._waiting = waiting
        self._timeout = gevent.Timeout(seconds, False)

    def __enter__(self) -> None:
        self._timeout.start()
        self._waiting.add(gevent.getcurrent())

    def __exit__(self, kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        self._timeout.cancel()
        self._waiting.discard(gevent.getcurrent())
        return error is self._timeout


class OneWriteWorker(GeventWorker):  # type: ignore[misc]
    """The worker class of both HTTP applications."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting_connections: set[gevent.Greenlet] = set()

    def timeout_ctx(self) -> _Idle:
        return _Idle(self._waiting_connections, self.cfg.keepalive)

    def notify(self) -> None:
        """gunicorn calls this every second, also while it waits for the last requests to end."""
        super().notify()
        if not self.alive:
            # A connection without a request has nothing to finish; gunicorn would wait for it until it gives up.
            for connection in list(self._waiting_connections):
                connection.kill(StopIteration, block=False)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        corked = OneWriteSocket(sock, req)
        try:
            super().handle_request(listener_name, req, corked, addr)
        finally:
            corked.flush()
