"""The reliable queue: CLAIM a batch, work on it, SETTLE it. Nothing is lost when a process dies in between.

A claimed batch lies in a list of its own, named for the process and the batch. While the process lives its heartbeat
is the lease of all its batches; when it stops, another process's janitor gives the messages back. A batch is settled
once: whoever comes second is FENCED and does nothing. See docs/reliability.md.
"""

import hashlib
import itertools
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import redis

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.redisdb import keys, scripts
from mutt.redisdb.client import outages, translate

MOST_RETURNS = 3
"""A message that was alone in its batch and still killed its worker is buried at the third return."""

FULL_POLL_SECONDS = 0.1
"""Between two looks at an empty queue while Redis is full and would not let us block."""

DONE_MARKER_MS = 600_000
"""A lost SETTLE reply is asked for again within seconds; ten minutes outlast any outage we would still settle after."""

RULE_HITS_KEPT_DAYS = 35
"""A month and a few days: hygiene looks back 30."""


@dataclass(frozen=True, slots=True)
class QueueNames:
    """The Redis names of one queue and of those who work on it."""

    service: str
    queue: str
    dead_letters: str
    processing_prefix: str
    heartbeat_prefix: str

    @property
    def attempts(self) -> str:
        return keys.attempts(self.processing_prefix)

    @property
    def retry(self) -> str:
        return keys.retry(self.service)


class Settled(StrEnum):
    """How SETTLE ended."""

    SETTLED = "SETTLED"
    ALREADY = "ALREADY"
    FENCED = "FENCED"


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are ours until they are settled or our lease ends. ``messages`` are oldest first."""

    id: str
    messages: list[bytes]


@dataclass(slots=True)
class Settlement:
    """What follows from a batch, done together with ending it: all of it or nothing.

    ``accepted_at`` is not part of that: when the events that are done with then were accepted, for the metrics.
    """

    accepted_at: Sequence[datetime] = ()
    _keys: dict[str, int] = field(default_factory=dict)
    _steps: list[Any] = field(default_factory=list)

    def push(self, queue: str, messages: Sequence[bytes]) -> None:
        """New messages for a queue or a dead-letter list."""
        if messages:
            self._steps += ["push", self._key(queue), len(messages), *messages]

    def give_back(self, queue: str, messages: Sequence[bytes]) -> None:
        """Messages to the old end of the queue they came from, in their order (oldest first)."""
        if messages:
            self._steps += ["return", self._key(queue), len(messages), *messages]

    def delay(self, retry_set: str, messages: Sequence[tuple[float, bytes]]) -> None:
        """(seconds to wait, message) for messages that shall be tried again later."""
        if messages:
            self._steps += ["delay", self._key(retry_set), len(messages)]
            for seconds, message in messages:
                self._steps += [round(seconds * 1000), message]

    def add(self, counter: str, amount: int) -> None:
        if amount:
            self._steps += ["add", self._key(counter), amount]

    def hits(self, by_rule: Mapping[int, int], now: datetime) -> None:
        """Events that each rule decided, counted for the day that it is by Redis's clock; ``now`` is our guess."""
        if not by_rule:
            return
        self._steps += ["hits", self._key(keys.RULE_LAST_HIT)]
        for days in (-1, 0, 1):
            self._steps.append(self._key(keys.rule_hits(f"{now + timedelta(days=days):%Y%m%d}")))
        self._steps += [int(now.timestamp() // 86400), RULE_HITS_KEPT_DAYS * 86_400_000, len(by_rule)]
        for rule_id, amount in by_rule.items():
            self._steps += [rule_id, amount]

    def unhandled(self, counts: "UnhandledCounts") -> None:
        """Counters of unmatched events with their details, and the meta-alerts they raise."""
        if not counts.patterns:
            return
        named = (counts.other, counts.index, counts.alert_queue, counts.ignored)
        self._steps += ["unhandled", *map(self._key, named)]
        self._steps += [counts.threshold, counts.expiry_seconds * 1000, counts.most_patterns, *counts.other_alert]
        self._steps.append(len(counts.patterns))
        for each in counts.patterns:
            self._steps += [self._key(each.counter), self._key(each.details), each.events, *each.alert]
            self._steps += [each.pattern, each.source, len(each.samples), *each.samples]

    def _key(self, name: str) -> int:
        """The number by which the script knows the key: the three of the batch come first."""
        return self._keys.setdefault(name, len(self._keys) + 4)


class UnmatchedPattern(NamedTuple):
    """Unmatched events of one pattern in one batch.

    ``alert`` is the meta-alert's JSON in two halves between which SETTLE writes the count, because only Redis knows
    it. ``samples`` are a few of the events, as JSON.
    """

    counter: str
    details: str
    events: int
    alert: tuple[bytes, bytes]
    pattern: str
    source: str
    samples: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class UnhandledCounts:
    """Unmatched events of one batch, by pattern. ``ignored`` is the hash of those that raise no meta-alert."""

    other: str
    index: str
    alert_queue: str
    ignored: str
    threshold: int
    expiry_seconds: int
    most_patterns: int
    other_alert: tuple[bytes, bytes]
    patterns: Sequence[UnmatchedPattern]


class ReliableQueue:
    """One process's view of a queue. ``lease_seconds`` is how long it may be silent before its batches are taken."""

    def __init__(self, client: redis.Redis, names: QueueNames, pod: str, lease_seconds: float) -> None:
        self.client = client
        self.names = names
        # A restarted worker must not keep its dead predecessor's batches alive: every start has a name of its own.
        self.pod = f"{pod.replace(':', '_')}-{os.getpid()}-{secrets.token_hex(4)}"
        self.lease_ms = round(lease_seconds * 1000)
        self._batch_numbers = itertools.count(1)
        self._in_hand: set[str] = set()

    @property
    def heartbeat_key(self) -> str:
        return keys.heartbeat(self.names.heartbeat_prefix, self.pod)

    def new_batch_id(self) -> str:
        return str(next(self._batch_numbers))

    def wait(self, seconds: float) -> bool:
        """True as soon as the queue holds a message, False after ``seconds`` without one. Raises OutageError."""
        queue = self.names.queue
        with outages():
            # Moving the oldest message from the right end to the right end changes nothing, and it blocks until
            # there is one.
            try:
                return self.client.execute_command("BLMOVE", queue, queue, "RIGHT", "RIGHT", seconds) is not None
            except redis.RedisError as error:
                # At maxmemory Redis refuses even that; the queue must drain all the same.
                if translate(error).reason is not Reason.REDIS_FULL:
                    raise
                waiting = bool(self.client.llen(queue))
        if not waiting:
            time.sleep(min(seconds, FULL_POLL_SECONDS))
        return waiting

    def claim(self, batch_id: str, most: int) -> Batch:
        """Up to ``most`` messages, now ours; none when the queue is empty. Asked again it is the same batch."""
        self._in_hand.add(batch_id)
        messages = scripts.CLAIM.run(
            self.client,
            [self._processing(batch_id), self.names.queue, self.heartbeat_key, self.names.attempts],
            [most, self.lease_ms],
        )
        if not messages:
            self._in_hand.discard(batch_id)
        return Batch(batch_id, messages)

    def settle(self, batch: Batch, settlement: Settlement) -> Settled:
        """Ends the batch and does what follows from it. May be repeated until an answer comes. Raises OutageError."""
        own = [
            self._processing(batch.id),
            keys.done(self.names.processing_prefix, self.pod, batch.id),
            self.names.attempts,
        ]
        answer = scripts.SETTLE.run(self.client, [*own, *settlement._keys], [DONE_MARKER_MS, *settlement._steps])
        self._in_hand.discard(batch.id)
        return Settled(answer.decode())

    def has_in_hand(self, batch_key: str) -> bool:
        """Whether the list belongs to a batch that this process works on."""
        return batch_key in map(self._processing, self._in_hand)

    def give_back_forgotten(self, batch_key: str) -> tuple[int, int]:
        """Gives back a batch of our own that we are done with: after a failover the primary may not know that."""
        return self.give_back_if_dead(batch_key, self.heartbeat_key + ":none")

    def release(self, batch: Batch) -> Settled:
        """Gives the batch back untouched, as a worker that stops does."""
        settlement = Settlement()
        settlement.give_back(self.names.queue, batch.messages)
        return self.settle(batch, settlement)

    def abandon(self, batch: Batch) -> int:
        """Gives the batch back as if we had died over it: its messages' returns are counted. Raises OutageError.

        Returns how many of them came back so often that they were buried.
        """
        # The name of a heartbeat that nobody has: our own lives on, and the janitor would leave the batch to us.
        _, buried = self.give_back_if_dead(self._processing(batch.id), self.heartbeat_key + ":none")
        self._in_hand.discard(batch.id)
        return buried

    def give_back_if_dead(self, batch_key: str, heartbeat_key: str) -> tuple[int, int]:
        """JANITOR: (messages given back, messages buried); none while the heartbeat lives. Raises OutageError."""
        returned, buried = scripts.JANITOR.run(
            self.client,
            [batch_key, heartbeat_key, self.names.queue, self.names.attempts, self.names.dead_letters],
            [MOST_RETURNS, *self._obituaries(batch_key)],
        )
        return returned, buried

    def _obituaries(self, batch_key: str) -> list[str | bytes]:
        """Digest and dead letter, one after another, of those messages that must not come back once more."""
        with outages():
            if not self.client.exists(self.names.attempts):
                return []
            messages: list[Any] = self.client.lrange(batch_key, 0, -1)
            digests = [hashlib.sha1(message).hexdigest() for message in messages]  # noqa: S324 - as the script does
            counts = self.client.hmget(self.names.attempts, digests) if digests else []
        why = f"handed out alone, it was still in hand when its worker died or failed, {MOST_RETURNS} times"
        pairs: list[str | bytes] = []
        now = datetime.now(UTC)
        for message, digest, count in zip(messages, digests, counts, strict=True):
            if int(count or 0) + 1 >= MOST_RETURNS:
                letter = dead_letter.bury(message, Reason.KILLED_ITS_WORKER, why, self.names.service, now, MOST_RETURNS)
                pairs += [digest, letter]
        return pairs

    def forget_heartbeat(self) -> None:
        """Ends our lease: what we leave behind goes to others at their next sweep. Raises OutageError."""
        with outages():
            self.client.delete(self.heartbeat_key)

    def beat(self) -> None:
        """Renews the lease of all our batches. Raises OutageError."""
        scripts.HEARTBEAT.run(self.client, [self.heartbeat_key], [self.lease_ms])

    def depth(self) -> int:
        with outages():
            return int(self.client.llen(self.names.queue))

    def _processing(self, batch_id: str) -> str:
        return keys.processing(self.names.processing_prefix, self.pod, batch_id)
