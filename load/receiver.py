"""A stand-in for the Moogsoft webhook: it keeps what it is sent, shows it, and fails when told to.

``python -m load.receiver --port 8099`` listens on loopback. Every path but these is the webhook; it takes one
object, ``{"events": [...]}`` or a bare array:

- ``GET /received``: ``{"count": n, "alerts": [each alert as it came]}``. ``?since=k`` leaves out the first k,
  ``?headers=1`` adds the credentials that came with each. ``DELETE /received`` forgets all.
- ``PUT /behaviour``: how to answer from now on (see Behaviour); what is not named is normal, so ``{}`` is back to
  normal. ``GET`` shows it, ``DELETE`` resets it.
- ``GET /tally``: how many requests were accepted, refused, dropped and withheld.
- ``GET /health``: 200.

GET, HEAD and OPTIONS on the webhook answer as a POST would, and take nothing: a probe invents no alert.
"""

import argparse
import contextlib
import http
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from load.webhook import Answer, Receiver

DRIP_SECONDS = 300


class Handler(WSGIHandler):
    """Gives the application the connection, so that it can break it."""

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["receiver.socket"] = self.socket
        return environ


class Application:
    """The WSGI side of a Receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        answer = self._receiver.answer(environ["REQUEST_METHOD"], path, query, _credentials(environ), body)
        gevent.sleep(answer.latency_ms / 1000)
        if answer.wire in ("close", "garbage"):
            _break(environ["receiver.socket"], answer)
            # Nothing of the answer below reaches the other side: the connection is closed.
        try:
            phrase = http.HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Unknown"
        start_response(f"{answer.status} {phrase}", list(answer.headers.items()))
        return _drip() if answer.wire == "drip" else [answer.body]


def _credentials(environ: dict[str, Any]) -> dict[str, str]:
    names = {"Authorization": "HTTP_AUTHORIZATION", "apiKey": "HTTP_APIKEY"}
    return {name: environ[variable] for name, variable in names.items() if variable in environ}


def _break(connection: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError):  # The sender may have gone first.
        if answer.wire == "garbage":
            connection.sendall(b"\x00\xffthis is not HTTP\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)


def _drip() -> Iterator[bytes]:
    for _ in range(DRIP_SECONDS):
        yield b" "
        gevent.sleep(1)


def serve(port: int, host: str = "127.0.0.1", receiver: Receiver | None = None) -> WSGIServer:
    """A started server; port 0 takes any free one, which ``server_port`` then names."""
    server = WSGIServer(
        (host, port), Application(receiver or Receiver()), handler_class=Handler, log=None, error_log=None
    )
    server.start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the Moogsoft webhook.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    server = serve(options.port, options.host)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    print(f"receiver listens on {options.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
