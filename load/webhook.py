"""The stand-in for the Moogsoft webhook without its sockets: requests in, answers out, alerts kept.

``load/receiver.py`` says what callers may ask and puts it on the network.
"""

import collections
import gzip
import itertools
import json
import math
import urllib.parse
from collections.abc import Iterator
from typing import Any

import msgspec

KEPT = 200_000
"""Alerts kept at most; older ones are forgotten but stay counted."""

JSON = "application/json"
BOMB_BYTES = 600 * 1024 * 1024


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the receiver answers. A fault takes no alerts, except ``withhold``."""

    status: int | None = None
    """Answer with this status; 200 to 299 still take the alerts."""
    latency_ms: int = 0
    """Wait so long before anything else."""
    drop: bool = False
    """Take nothing and close the connection without an answer."""
    withhold: bool = False
    """Take the alerts, then close the connection without an answer: the reply is lost on the wire."""
    retry_after: int | str | None = None
    """Retry-After header of the answer."""
    redirect: str | None = None
    """Answer 302 (or ``status``) to this address."""
    garbage: bool = False
    """Answer with bytes that are not HTTP."""
    drip: bool = False
    """Answer 200 with a body that comes byte by byte and does not end for minutes."""
    gzip_bomb: bool = False
    """Answer 200 with a small gzip body that unpacks to 600 MB."""
    refuse_containing: str | None = None
    """Refuse (400, or ``status``) only the requests whose body contains this text."""
    times: int | None = None
    """Do so for this many POST requests, then be normal again."""


NORMAL = Behaviour()


class Answer(msgspec.Struct):
    """What goes back: a status line's number, headers and body; or a wire fault instead of it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}
    wire: str = ""
    """``close``: no answer at all; ``garbage``: bytes that are not HTTP; ``drip``: the body as slowly as can be."""
    latency_ms: int = 0


class Receiver:
    """The receiver without its sockets: requests in, answers out, alerts kept."""

    def __init__(self, kept: int = KEPT) -> None:
        self.behaviour = NORMAL
        self._alerts: collections.deque[tuple[Any, dict[str, str]]] = collections.deque(maxlen=kept)
        self._count = 0
        self._tally: collections.Counter[str] = collections.Counter()
        self._left: int | None = None

    def answer(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to one request; ``headers`` has the credentials that came with it."""
        if path == "/health":
            return _as_json({"status": "healthy"})
        if path == "/tally":
            return _as_json({name: self._tally[name] for name in ("accepted", "refused", "dropped", "withheld")})
        if path == "/received":
            return self._received(method, query)
        if path == "/behaviour":
            return self._behave(method, body)
        return self._webhook(method, headers, body)

    # --- looking and telling ----------------------------------------------------------------------------------

    def _received(self, method: str, query: str) -> Answer:
        if method == "DELETE":
            self._alerts.clear()
            self._count = 0
            self._tally.clear()
            return _as_json({"count": 0, "alerts": []})
        options = urllib.parse.parse_qs(query)
        try:
            since = int(options.get("since", ["0"])[0])
        except ValueError:
            return _problem("since must be a whole number")
        entries = [] if since < 0 else list(self._after(since))
        result: dict[str, Any] = {"count": self._count, "alerts": [alert for alert, _ in entries]}
        if "headers" in options:
            result["headers"] = [headers for _, headers in entries]
        return _as_json(result)

    def _after(self, since: int) -> Iterator[tuple[Any, dict[str, str]]]:
        forgotten = self._count - len(self._alerts)
        return itertools.islice(self._alerts, max(0, since - forgotten), None)

    def _behave(self, method: str, body: bytes) -> Answer:
        if method == "DELETE":
            self._set(NORMAL)
        elif method == "PUT":
            try:
                self._set(msgspec.json.decode(body, type=Behaviour))
            except msgspec.DecodeError as error:
                return _problem(str(error))
        return Answer(body=msgspec.json.encode(self.behaviour), headers={"Content-Type": JSON})

    def _set(self, behaviour: Behaviour) -> None:
        self.behaviour, self._left = behaviour, behaviour.times

    # --- the webhook ------------------------------------------------------------------------------------------

    def _webhook(self, method: str, headers: dict[str, str], body: bytes) -> Answer:
        behaviour = self._behaviour_for(method, body)
        accepts = behaviour.withhold or _outcome(behaviour) == "accepted"
        alerts: list[Any] = []
        if accepts and method == "POST":
            try:
                alerts = _alerts_in(body)
            except ValueError as error:
                self._tally["refused"] += 1
                return _problem(str(error))
            self._count += len(alerts)
            self._alerts.extend((alert, headers) for alert in alerts)
        if method == "POST":
            self._tally[_outcome(behaviour)] += 1
        return _shape(behaviour, len(alerts))

    def _behaviour_for(self, method: str, body: bytes) -> Behaviour:
        """The behaviour that this request meets; only a POST uses up one of its times."""
        behaviour = self.behaviour
        if behaviour.refuse_containing is not None:
            if behaviour.refuse_containing.encode() not in body:
                return Behaviour(latency_ms=behaviour.latency_ms)
            behaviour = msgspec.structs.replace(behaviour, status=behaviour.status or 400)
        if method == "POST" and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._set(NORMAL)
        return behaviour


def _outcome(behaviour: Behaviour) -> str:
    """What becomes of a request: accepted, refused, dropped or withheld."""
    if behaviour.withhold:
        return "withheld"
    if behaviour.drop:
        return "dropped"
    faulty = behaviour.garbage or behaviour.drip or behaviour.gzip_bomb or behaviour.redirect
    if faulty or (behaviour.status is not None and not 200 <= behaviour.status < 300):
        return "refused"
    return "accepted"


def _shape(behaviour: Behaviour, taken: int) -> Answer:
    """The answer that a behaviour prescribes."""
    latency = behaviour.latency_ms
    if behaviour.drop or behaviour.withhold:
        return Answer(wire="close", latency_ms=latency)
    if behaviour.garbage:
        return Answer(wire="garbage", latency_ms=latency)
    if behaviour.drip:
        return Answer(wire="drip", latency_ms=latency)
    if behaviour.gzip_bomb:
        return Answer(body=_bomb(), headers={"Content-Type": JSON, "Content-Encoding": "gzip"}, latency_ms=latency)
    headers = {"Content-Type": JSON}
    if behaviour.retry_after is not None:
        headers["Retry-After"] = str(behaviour.retry_after)
    if behaviour.redirect:
        headers["Location"] = behaviour.redirect
        return Answer(behaviour.status or 302, b"{}", headers, latency_ms=latency)
    body = json.dumps({"accepted": taken}).encode()
    return Answer(behaviour.status or 200, body, headers, latency_ms=latency)


def _bomb() -> bytes:
    block = b"0" * (1024 * 1024)
    member = gzip.compress(block, 9)
    return member * math.ceil(BOMB_BYTES / len(block))  # gzip members one after another unpack as one text


def _alerts_in(body: bytes) -> list[Any]:
    """The alerts of a request. Raises ValueError with a sentence when the body is none of the three shapes."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if isinstance(content, dict):
        content = content.get("events", [content])
    if not isinstance(content, list) or not all(isinstance(alert, dict) for alert in content):
        raise ValueError('the body must be an object, {"events": [...]} or an array of objects')
    return content


def _as_json(value: Any) -> Answer:
    return Answer(body=msgspec.json.encode(value), headers={"Content-Type": JSON})


def _problem(sentence: str) -> Answer:
    answer = _as_json({"error": sentence})
    answer.status = 400
    return answer
