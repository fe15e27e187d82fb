"""A webhook that counts: ``python -m load.bench.sink --port 8099 [--latency-ms 100]``.

The stand-in receiver keeps every alert for tests and costs as much as the program that is measured; this one keeps
numbers. ``POST /webhook`` takes Moogsoft's alerts. ``GET /stats`` answers what has come as JSON (see Stats), ``DELETE
/stats`` forgets it. Everything else is answered 200. An alert whose text holds ``sent=<Unix time>`` is also a
measurement of the time since then.
"""

import argparse
import re
import signal
import socket
import time
from array import array
from collections import deque
from typing import Any

import gevent
import msgspec
from gevent.server import StreamServer

SENT = re.compile(rb"sent=(\d+\.\d+)")


class Stats(msgspec.Struct):
    """Alerts received, how many of them by another id than all before, requests, and the most in any one second.

    ``p50`` and ``p99`` are milliseconds from the time in the alert's text to its arrival.
    """

    alerts: int = 0
    distinct: int = 0
    requests: int = 0
    busiest_second: int = 0
    p50: float = 0.0
    p99: float = 0.0
    last_at: float = 0.0


class Item(msgspec.Struct):
    external_id: str


class Envelope(msgspec.Struct):
    events: list[Item]


class Sink:
    """Counts what comes; ``latency`` is the time each answer takes, in seconds."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._decoder = msgspec.json.Decoder(Envelope)
        self.forget()

    def forget(self) -> None:
        self._stats = Stats()
        # A digest is a third of the id, and two of ten million are alike once in 300,000 runs.
        self._digests: set[int] = set()
        self._waits = array("d")
        self._last_second: deque[float] = deque()

    def stats(self) -> Stats:
        waits = sorted(self._waits)
        if waits:
            self._stats.p50, self._stats.p99 = (1000 * waits[int(share * len(waits))] for share in (0.5, 0.99))
        self._stats.distinct = len(self._digests)
        return self._stats

    def serve(self, sock: Any, _address: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end >= 0:
                head, length = buffer[:end], _length(buffer[:end])
                if len(buffer) >= end + 4 + length:
                    sock.sendall(self._answer(head, buffer[end + 4 : end + 4 + length]))
                    buffer = buffer[end + 4 + length :]
                    continue
            received = sock.recv(262144)
            if not received:
                return
            buffer += received

    def _answer(self, head: bytes, body: bytes) -> bytes:
        content = b"{}"
        if b" /stats " in head[:40]:
            content = msgspec.json.encode(self.stats())
            if head.startswith(b"DELETE"):
                self.forget()
        elif b" /webhook " in head[:40]:
            self._count(body)
            if self._latency:
                gevent.sleep(self._latency)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(content),
            content,
        )

    def _count(self, body: bytes) -> None:
        now = time.time()
        events = self._decoder.decode(body).events
        self._digests.update([hash(each.external_id) for each in events])
        stats, recent = self._stats, self._last_second
        stats.alerts += len(events)
        stats.requests += 1
        stats.last_at = now
        self._waits.extend([now - float(sent) for sent in SENT.findall(body)])
        recent.append(now)
        while recent[0] <= now - 1.0:
            recent.popleft()
        stats.busiest_second = max(stats.busiest_second, len(recent))


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def main() -> None:
    parser = argparse.ArgumentParser(description="A webhook that counts.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args()
    server = StreamServer(("127.0.0.1", options.port), Sink(options.latency_ms / 1000).serve, backlog=2048)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
