"""The load client: several sources at once, single events and batches, that keep a ledger of the answers they got."""

import http.client
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event

from tests.chaos.ledger import Ledger, State
from tests.support.waiting import wait_until

ANSWER_SECONDS = 40.0
"""A source waits so long for an answer; a worker may be paused and another server away meanwhile."""

RETRY_SECONDS = 0.25
ROUTES = ("/api/v2/ingest", "/api/v2/ingest/rsyslog")
MESSAGES = {
    True: "CRITICAL: chaos fault {number} on power supply {number}",
    False: "chaos: quiet event number {number}",
}
"""The first kind is matched by a rule that pages somebody, the second by none."""


@dataclass(frozen=True)
class Request:
    """What is posted, and how often a source that is told to wait posts it again before it gives up."""

    path: str
    body: bytes
    ids: tuple[str, ...]
    tries: int
    replayed: bool
    """The source sends it a second time though it was answered 202, as a relay does after its own crash."""


@dataclass
class Mix:
    """What the sources send. ``decorate`` may change an event and name the reason of the dead letter it must be."""

    events: int
    rate: float
    forward_share: float = 0.5
    replay_share: float = 0.01
    batches: tuple[int, ...] = (1, 1, 5, 20, 50, 100)
    decorate: Callable[[dict[str, Any], random.Random], str] | None = None
    patience: tuple[int, ...] = (1, 2, 5, 1000)
    """Tries of a request, one of these at random."""


class Load:
    """``clients`` greenlets that post what ``mix`` says. The nth request is the same for the same ``seed``."""

    def __init__(self, url: str, key: str, ledger: Ledger, seed: str, mix: Mix, clients: int = 8) -> None:
        self.ledger = ledger
        self.answers: Counter[str] = Counter()
        """Requests by answer: "202", "503 redis_full", "no connection", "connection lost" ..."""
        self.unexpected: list[str] = []
        """Answers other than 202 and 503, in words."""
        self.seconds: list[float] = []
        """How long each answered request took."""
        self.stopping = False
        self.key = key
        self.offered = 0
        self._address = url.removeprefix("http://")
        self._rng = random.Random(seed)
        self._mix = mix
        self._clients = clients
        self._greenlets: list[gevent.Greenlet] = []
        self._started = 0.0
        self._in_flight = 0
        self._flowing = Event()
        self._flowing.set()

    def start(self) -> "Load":
        self._started = time.monotonic()
        self._greenlets = [gevent.spawn(self._client) for _ in range(self._clients)]
        return self

    @property
    def done(self) -> bool:
        return all(each.dead for each in self._greenlets)

    def join(self, seconds: float | None = None) -> None:
        """Returns when everything was sent and answered."""
        gevent.joinall(self._greenlets, timeout=seconds, raise_error=True)

    def stop(self) -> None:
        """Sends nothing more; returns when what is under way was answered."""
        self.stopping = True
        self.join()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While in here no request is under way and none leaves."""
        self._flowing.clear()
        try:
            wait_until(lambda: self._in_flight == 0, "the requests under way to be answered", seconds=ANSWER_SECONDS)
            yield
        finally:
            self._flowing.set()

    @property
    def acknowledged(self) -> int:
        return self.ledger.count(State.ACKNOWLEDGED)

    def _client(self) -> None:
        source = Source(self._address)
        for request in self._requests():
            self._deliver(source, request)
        source.close()

    def _requests(self) -> Iterator[Request]:
        while not self.stopping and self.offered < self._mix.events:
            request = self._next()
            due = self._started + self.offered / self._mix.rate
            gevent.sleep(max(0.0, due - time.monotonic()))
            yield request

    def _next(self) -> Request:
        rng, mix = self._rng, self._mix
        number = min(rng.choice(mix.batches), mix.events - self.offered)
        events = [self._event(self.offered + index) for index in range(number)]
        self.offered += number
        path = rng.choice(ROUTES)
        content: Any = events[0] if number == 1 else events
        body = json.dumps(content).encode()
        if number > 1 and rng.random() < 0.5:
            body = b"\n".join(json.dumps(each).encode() for each in events)
        ids = tuple(each["correlation_id"] for each in events)
        return Request(path, body, ids, rng.choice(mix.patience), rng.random() < mix.replay_share)

    def _event(self, number: int) -> dict[str, Any]:
        rng = self._rng
        forward = rng.random() < self._mix.forward_share
        event = {
            "timestamp": datetime.now(UTC).isoformat(),
            "hostname": f"chaos-{number % 50}",
            "message": MESSAGES[forward].format(number=number),
            "source": "syslog",
            "syslog_severity": 2 if forward else 6,
            "correlation_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        }
        poison = self._mix.decorate(event, rng) if self._mix.decorate else ""
        self.ledger.offer(event["correlation_id"], forward and not poison, poison)
        return event

    def _deliver(self, source: "Source", request: Request) -> None:
        for _ in range(request.tries):
            state = self._post(source, request)
            self.ledger.record(request.ids, state)
            if state is State.ACKNOWLEDGED:
                if request.replayed:
                    self._post(source, request)
                return
            if self.stopping:
                return
            gevent.sleep(RETRY_SECONDS)

    def _post(self, source: "Source", request: Request) -> State:
        self._flowing.wait()
        self._in_flight += 1
        started = time.monotonic()
        try:
            state, answer, content = source.post(request.path, request.body, self.key)
        finally:
            self._in_flight -= 1
        self.seconds.append(time.monotonic() - started)
        reason = f"{answer} {content.get('reason', '')}".strip()
        self.answers[reason] += 1
        if answer.isdigit() and answer not in ("202", "503"):
            self.unexpected.append(f"{answer}: {content}")
        if content.get("rejected"):
            self.unexpected.append(f"rejected: {content['rejected'][0]}")
        return state


class Source:
    """One keep-alive connection of a source, which knows whether a request that got no answer had left."""

    def __init__(self, address: str, seconds: float = ANSWER_SECONDS) -> None:
        self._address = address
        self._seconds = seconds
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, key: str) -> tuple[State, str, dict[str, Any]]:
        """(what it means for the events, status or what went wrong, the answer's content)."""
        try:
            connection = self._connected()
        except OSError:
            self.close()
            return State.REFUSED, "no connection", {}
        headers = {"X-API-KEY": key, "Content-Type": "application/json"}
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return State.UNKNOWN, "connection lost", {}
        if answer.will_close:
            self.close()
        return _meaning(answer.status, content)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=self._seconds)
            self._connection.connect()
        return self._connection


def _meaning(status: int, body: bytes) -> tuple[State, str, dict[str, Any]]:
    try:
        content = json.loads(body)
    except ValueError:
        content = {"reason": body[:200].decode("latin-1")}
    if status == 202:
        return State.ACKNOWLEDGED, "202", content
    unknown = status >= 500 and content.get("reason") in ("unknown", None)
    return (State.UNKNOWN if unknown else State.REFUSED), str(status), content
