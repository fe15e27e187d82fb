"""The users of the profiles: sources of several kinds, and operators. ``INGEST_API_KEY`` and the like say how."""

import json
import os
import random
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

from load.bench import traffic
from load.bench.generator import Body
from load.locust import tally
from load.locust.tally import counted

INGEST, RELAY = "/api/v2/ingest", "/api/v2/ingest/rsyslog"
ADMIN_URL = os.environ.get("MUTT_ADMIN_URL", "").rstrip("/")
"""The API of the operators; Locust's --host is the ingestor's address, for all users alike."""
KEYS = {"X-API-KEY": os.environ.get("INGEST_API_KEY", "")}
PREPARED: dict[tuple[str, int], list[Body]] = {}


def prepared(kind: str, batch: int) -> list[Body]:
    """Bodies made once a process: rendering them would be what is measured."""
    if (kind, batch) not in PREPARED:
        made = traffic.bodies(batch)
        if kind == "lines":
            made = [Body(_as_lines(body), body.events, body.forwardable) for body in made]
        PREPARED[kind, batch] = made
    return PREPARED[kind, batch]


def _as_lines(body: Body) -> str:
    content = json.loads(body.text)
    return "\n".join(json.dumps(event) for event in (content if isinstance(content, list) else [content]))


class Source(FastHttpUser):
    """Posts ``batch`` events at a time and counts what it is promised."""

    abstract = True
    batch, path, kind = 100, INGEST, "json"
    network_timeout = connection_timeout = 30.0

    def on_start(self) -> None:
        self.bodies = prepared(self.kind, self.batch)
        self.turn = random.randrange(len(self.bodies))

    @task
    def post(self) -> None:
        self.turn = (self.turn + 1) % len(self.bodies)
        self.send(self.bodies[self.turn])

    def send(self, body: Body, rejected: int = 0) -> None:
        """Posts it and counts what the answer promises; a 503 is what a source has to expect, and no failure."""
        with self.client.post(self.path, data=body.text.encode(), headers=KEYS, name="ingest",
                              catch_response=True) as answer:  # fmt: skip
            if answer.status_code == 202:
                counted.count("accepted", body.events - rejected)
                counted.count("forwardable", body.forwardable)
                counted.count("rejected", rejected)
                answer.success()
            elif answer.status_code == 503:
                counted.count("told_to_wait", body.events)
                answer.success()
            else:
                counted.count("unknown", body.events)
                answer.failure(f"answered {answer.status_code}")


class BatchSource(Source):
    """1,000 events a second in batches of 100."""

    wait_time = constant_throughput(10)


class SmallSource(Source):
    """A device that says something every other second, one event at a time."""

    batch = 1
    wait_time = constant_throughput(0.5)


class SingleRelay(Source):
    """A relay that posts every message by itself, as rsyslog's omhttp does unless told otherwise."""

    batch, path, kind = 1, RELAY, "lines"
    wait_time = constant_throughput(20)


class BatchRelay(Source):
    """A relay that posts newline-separated batches, as omhttp with batch="on" does."""

    path, kind = RELAY, "lines"
    wait_time = constant_throughput(5)


class PoisonedSource(Source):
    """Batches of 100 in which one event lacks its hostname and one has a time that is none."""

    wait_time = constant_throughput(5)

    @task
    def post(self) -> None:
        self.turn = (self.turn + 1) % len(self.bodies)
        body = self.bodies[self.turn]
        content = json.loads(body.text)
        # Of every ten events the first three are forwarded: these two are not, so the count stays what it was.
        quiet = [event for event in content if "CRITICAL" not in event["message"] and "down" not in event["message"]]
        bad = [event for event in quiet if "full" not in event["message"]][:2]
        bad[0]["hostname"], bad[1]["timestamp"] = None, "yesterday"
        self.send(Body(json.dumps(content), body.events, body.forwardable), rejected=2)


class Operator(FastHttpUser):
    """Somebody at the dashboard: looks at the overview, rules, events and settings, and tries a rule now and then."""

    abstract = True
    wait_time = constant_throughput(0.5)
    network_timeout = connection_timeout = 30.0
    keys = {"X-API-KEY": os.environ.get("WEBUI_API_KEY", "")}  # noqa: RUF012 - read only

    def get(self, path: str) -> None:
        self.client.get(f"{ADMIN_URL}/api/v2/{path}", headers=self.keys, name=f"api {path.partition('?')[0]}")

    @task(5)
    def overview(self) -> None:
        self.get("metrics")

    @task(3)
    def rules(self) -> None:
        self.get("rules?limit=50")

    @task(3)
    def events(self) -> None:
        self.get(f"audit-logs?limit=50&hostname=core-rtr-01-{random.randrange(traffic.HOSTS)}")

    @task(1)
    def settings(self) -> None:
        self.get("config")

    @task(1)
    def dead_letters(self) -> None:
        self.get("dlq")

    @task(2)
    def try_a_rule(self) -> None:
        event = {"timestamp": "2026-01-01T00:00:00Z", "hostname": "core-rtr-01", "message": "CRITICAL: fan failed"}
        self.client.post(
            f"{ADMIN_URL}/api/v2/rules/test", json={"event": event}, headers=self.keys, name="api rules/test"
        )


@events.init.add_listener
def prepare(environment: Any, **_: Any) -> None:
    """Renders the bodies before the clock runs."""
    for user in environment.user_classes:
        if issubclass(user, Source):
            prepared(user.kind, user.batch)


@events.quitting.add_listener
def write_tally(**_: Any) -> None:
    tally.write()
