"""A worker as one would write it at first: the negative control. It must fail the accounting that ours must pass.

``guide``: BRPOPLPUSH to a processing list, work, LREM, and a janitor that gives back the lists of pods without a
heartbeat. ``pop``: BRPOP, work. The alerter inserts without a key that would stop a second row.

    python -m tests.chaos.naive guide|pop alerter|forwarder POD REDIS_PORT REDIS_PASSWORD DSN SINK_HOST:PORT
"""

import http.client
import json
import sys
import threading
import time
from typing import Any

import psycopg2
import redis

LEASE_SECONDS = 0.5


class Naive:
    def __init__(self, loop: str, role: str, pod: str, client: redis.Redis, dsn: str, sink: str) -> None:
        self.client = client
        self.prefix = f"naive:{loop}"
        self.pod = pod
        self.source = f"{self.prefix}:{'ingest' if role == 'alerter' else 'alert'}_queue"
        self.processing = f"{self.prefix}:processing:{role}"
        self.heartbeat = f"{self.prefix}:heartbeat:{role}"
        self.loop = loop
        self.work = self.audit if role == "alerter" else self.forward
        self.database = psycopg2.connect(dsn) if role == "alerter" else None
        self.sink = http.client.HTTPConnection(sink, timeout=10)

    def audit(self, message: bytes, event: dict[str, Any]) -> None:
        assert self.database is not None
        with self.database, self.database.cursor() as cursor:
            cursor.execute("INSERT INTO naive_audit (loop, id) VALUES (%s, %s)", (self.loop, event["external_id"]))
        if event["forward"]:
            self.client.lpush(f"{self.prefix}:alert_queue", message)

    def forward(self, message: bytes, _event: dict[str, Any]) -> None:
        body = b'{"events":[' + message + b"]}"
        self.sink.request("POST", "/webhook", body, {"Content-Type": "application/json"})
        answer = self.sink.getresponse()
        answer.read()
        assert answer.status == 200

    def run(self) -> None:
        threading.Thread(target=self.keep_alive, daemon=True).start()
        while True:
            message = self.take()
            if message:
                self.work(message, json.loads(message))
                if self.loop == "guide":
                    self.client.lrem(f"{self.processing}:{self.pod}", 1, message)

    def take(self) -> bytes | None:
        if self.loop == "guide":
            return self.client.brpoplpush(self.source, f"{self.processing}:{self.pod}", timeout=1)
        found = self.client.brpop(self.source, timeout=1)
        return found[1] if found else None

    def keep_alive(self) -> None:
        while True:
            self.client.set(f"{self.heartbeat}:{self.pod}", time.time(), px=round(LEASE_SECONDS * 1000))
            self.recover()
            time.sleep(LEASE_SECONDS / 4)

    def recover(self) -> None:
        for key in self.client.scan_iter(f"{self.processing}:*"):
            pod = key.decode().rpartition(":")[2]
            if not self.client.exists(f"{self.heartbeat}:{pod}"):
                while self.client.rpoplpush(key, self.source):
                    pass


def main(loop: str, role: str, pod: str, port: str, password: str, dsn: str, sink: str) -> None:
    client = redis.Redis(port=int(port), password=password, protocol=2, socket_timeout=10)
    Naive(loop, role, pod, client, dsn, sink).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
