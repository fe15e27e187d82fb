"""Looks for a message in Redis: at what can be looked at cheaply, and says what could not be looked at."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

import msgspec
import redis

from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.settings import QueueSettings

END_OF_QUEUE = 300
"""Messages looked at from either end of a queue."""

MOST_RETRIES = 3000
MOST_LETTERS = 10_000
MOST_LETTER_BYTES = 64 * 1024 * 1024
AT_ONCE = 500


class Place(StrEnum):
    """Where a message can lie; the value names it to a person."""

    INGEST_QUEUE = "the ingest queue"
    ALERT_QUEUE = "the alert queue"
    ALERTER_RETRY = "the alerter's retries"
    FORWARDER_RETRY = "the forwarder's retries"
    INGEST_LETTERS = "the dead letters of ingest"
    ALERTER_LETTERS = "the dead letters of the alerter"
    FORWARDER_LETTERS = "the dead letters of the forwarder"
    POISON = "the poison list"


class Sighting(NamedTuple):
    """A message that was found. ``item`` is the event or alert; ``due_at`` is for retries, ``letter`` for the dead."""

    place: Place
    item: dict[str, Any]
    due_at: datetime | None = None
    letter: DeadLetter | None = None

    @property
    def event_id(self) -> str | None:
        found = self.item.get("event_id")
        return found if isinstance(found, str) else None


class Look(NamedTuple):
    """What was found; ``depths`` is how much there is in each place, ``not_seen`` how much of it was not looked at."""

    found: list[Sighting]
    depths: dict[Place, int]
    not_seen: dict[Place, int]


class Lookout:
    """Finds messages by their correlation id."""

    def __init__(self, client: redis.Redis, queues: QueueSettings) -> None:
        self._client = client
        self._queues = {Place.INGEST_QUEUE: queues.ingest_queue, Place.ALERT_QUEUE: queues.alert_queue}
        self._retries = {
            Place.ALERTER_RETRY: keys.retry("alerter"),
            Place.FORWARDER_RETRY: keys.retry("moog"),
        }
        self._letters = {
            Place.INGEST_LETTERS: keys.DLQ_INGEST,
            Place.ALERTER_LETTERS: queues.alerter_dlq,
            Place.FORWARDER_LETTERS: queues.moog_dlq,
            Place.POISON: keys.POISON,
        }

    def circuit_is_open(self) -> bool:
        """Whether the forwarders wait for Moogsoft to answer again. Raises OutageError."""
        with outages():
            return self._client.get(keys.CIRCUIT_STATE) == b"OPEN"

    def waiting(self, correlation_id: str) -> Look:
        """Both ends of the queues and the retries that are due first. Raises OutageError."""
        look = Look([], {}, {})
        for place, name in self._queues.items():
            records = self._ends(place, name, look)
            look.found.extend(Sighting(place, item) for item in _of(records, correlation_id))
        for place, name in self._retries.items():
            self._look_at_retries(place, name, correlation_id, look)
        return look

    def dead_letters(self, correlation_id: str) -> Look:
        """The newest 10,000 letters of each list. Raises OutageError."""
        look = Look([], {}, {})
        for place, name in self._letters.items():
            for record in self._newest(place, name, look):
                letter = _letter_of(record, correlation_id)
                if letter is not None:
                    item = letter.payload if isinstance(letter.payload, dict) else {}
                    look.found.append(Sighting(place, item, letter=letter))
        return look

    def _ends(self, place: Place, name: str, look: Look) -> list[bytes]:
        with outages():
            depth = int(self._client.llen(name))
            newest = self._client.lrange(name, 0, END_OF_QUEUE - 1)
            oldest = self._client.lrange(name, -END_OF_QUEUE, -1)
        # In a short queue, or one that moves while we look, a message is seen twice.
        records = cast(list[bytes], list(dict.fromkeys(newest + oldest)))
        look.depths[place] = depth
        look.not_seen[place] = max(0, depth - 2 * END_OF_QUEUE)
        return records

    def _look_at_retries(self, place: Place, name: str, correlation_id: str, look: Look) -> None:
        with outages():
            look.depths[place] = int(self._client.zcard(name))
        look.not_seen[place] = max(0, look.depths[place] - MOST_RETRIES)
        for start in range(0, min(MOST_RETRIES, look.depths[place]), AT_ONCE):
            with outages():
                found = self._client.zrange(name, start, start + AT_ONCE - 1, withscores=True)
            pairs = cast(list[tuple[bytes, float]], found)
            for record, due_ms in pairs:
                due_at = datetime.fromtimestamp(due_ms / 1000, UTC)
                look.found.extend(Sighting(place, item, due_at) for item in _of([record], correlation_id))

    def _newest(self, place: Place, name: str, look: Look) -> Iterator[bytes]:
        """Letters from the newest on, until enough of them, or enough bytes, were looked at."""
        with outages():
            look.depths[place] = int(self._client.llen(name))
        seen, seen_bytes = 0, 0
        for start in range(0, min(MOST_LETTERS, look.depths[place]), AT_ONCE):
            with outages():
                records = cast(list[bytes], self._client.lrange(name, start, start + AT_ONCE - 1))
            yield from records
            seen += len(records)
            seen_bytes += sum(map(len, records))
            if seen_bytes > MOST_LETTER_BYTES:
                break
        look.not_seen[place] = max(0, look.depths[place] - seen)


def _holds(record: bytes, correlation_id: str) -> bool:
    """Whether it is worth reading: most records are not, and finding that out must be cheap."""
    return correlation_id.encode() in record or correlation_id.upper().encode() in record


def _of(records: list[bytes], correlation_id: str) -> Iterator[dict[str, Any]]:
    for record in records:
        if _holds(record, correlation_id):
            try:
                item = msgspec.json.decode(record)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            if _is_of(item, correlation_id):
                yield item


def _is_of(item: Any, correlation_id: str) -> bool:
    return isinstance(item, dict) and str(item.get("correlation_id", "")).lower() == correlation_id


def _letter_of(record: bytes, correlation_id: str) -> DeadLetter | None:
    letter = dead_letter.exhume(record) if _holds(record, correlation_id) else None
    if letter is None or _is_of(letter.payload, correlation_id):
        return letter
    # What could not be read as an event is kept as text.
    return letter if isinstance(letter.payload, str) and correlation_id in letter.payload.lower() else None
