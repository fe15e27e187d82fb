"""The stand-in webhook with a memory for large runs: ids instead of whole alerts.

``python -m tests.chaos.receiver --port N`` does all that load.receiver does. ``GET /ledger?since=k`` lists, from the
kth request on, ``[time, outcome, [external_id ...], [external_id of a meta-alert ...]]``; ``DELETE /received`` forgets
these too. Outcome is accepted, refused, dropped or withheld; ids are listed when the alerts were taken.
"""

import argparse
import signal
import socket
import time
import urllib.parse
from collections.abc import Iterable
from typing import Any

import gevent
import msgspec
from gevent.pywsgi import WSGIServer

from load.receiver import Application, Handler
from load.webhook import Answer, Receiver

OUTCOMES = ("accepted", "refused", "dropped", "withheld")
META_SOURCE = "mutt"
"""Hostname of alerts that no event is behind."""


class Alert(msgspec.Struct):
    external_id: str
    source: str


class Envelope(msgspec.Struct):
    events: list[Alert]


class LedgerReceiver(Receiver):
    """A receiver that keeps one line a request for the whole run."""

    def __init__(self) -> None:
        super().__init__(kept=1000)
        self.requests: list[tuple[float, str, list[str], list[str]]] = []
        self._seen: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    def answer(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        if path == "/ledger":
            since = int(urllib.parse.parse_qs(query).get("since", ["0"])[0])
            return Answer(body=msgspec.json.encode(self.requests[since:]), headers={"Content-Type": "application/json"})
        answer = super().answer(method, path, query, headers, body)
        if path == "/received" and method == "DELETE":
            self.requests.clear()
            self._seen = dict.fromkeys(OUTCOMES, 0)
        elif method == "POST":
            self._note(body, answer)
        return answer

    def _note(self, body: bytes, answer: Answer) -> None:
        tally: dict[str, Any] = msgspec.json.decode(super().answer("GET", "/tally", "", {}, b"").body)
        outcome = next((name for name in OUTCOMES if tally[name] > self._seen[name]), "refused")
        self._seen = tally
        if not answer.wire and 200 <= answer.status < 300:
            outcome = "accepted"  # Whatever the body is: the status says that the alerts were taken.
        taken = outcome in ("accepted", "withheld")
        alerts = msgspec.json.decode(body, type=Envelope).events if taken else []
        own = [each.external_id for each in alerts if each.source != META_SOURCE]
        meta = [each.external_id for each in alerts if each.source == META_SOURCE]
        self.requests.append((time.time(), outcome, own, meta))


class Prompt(Application):
    """gevent writes head and body apart: without this the body waits 40 ms for the sender's acknowledgement."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["receiver.socket"].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return super().__call__(environ, start_response)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    address = ("127.0.0.1", parser.parse_args().port)
    server = WSGIServer(address, Prompt(LedgerReceiver()), handler_class=Handler, log=None, error_log=None)
    server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
