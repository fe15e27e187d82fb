"""The queue protocol in plain Python: what the Lua scripts must do, without Redis, clocks or other processes.

Lists are oldest first. A place in the retry set is a rank instead of a time: below zero is due, and the smaller comes
first. Heartbeats end when the test says so.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mutt.queues.reliable import MOST_RETURNS, Batch, Settled, Settlement, UnhandledCounts, UnmatchedPattern
from mutt.redisdb import keys
from tests.support.queues import ALERTER, ALERTS

COUNTER = "mutt:metrics:alerter:total"
PREFIX = "mutt:unhandled"
THRESHOLD, MOST_PATTERNS = 3, 2
IGNORED_PATTERN = "p0"
SECONDS_A_RANK = 1000
"""So far apart that the time a test takes cannot change the order of two retries."""

HITS = "hits of all days"

Owner = tuple[str, str]
"""The pod and the batch id of a claimed batch."""


@dataclass
class Plan:
    """What a worker wants of a batch: the same for the model and for the real SETTLE."""

    push: list[bytes] = field(default_factory=list)
    bury: list[bytes] = field(default_factory=list)
    give_back: list[bytes] = field(default_factory=list)
    delay: list[tuple[int, bytes]] = field(default_factory=list)
    count: int = 0
    hits: Counter[int] = field(default_factory=Counter)
    patterns: Counter[str] = field(default_factory=Counter)

    def settlement(self) -> Settlement:
        result = Settlement()
        result.push(ALERTS, self.push)
        result.give_back(ALERTER.queue, self.give_back)
        result.push(ALERTER.dead_letters, self.bury)
        result.delay(ALERTER.retry, [(rank * SECONDS_A_RANK, message) for rank, message in self.delay])
        result.add(COUNTER, self.count)
        result.hits(self.hits, datetime.now(UTC))
        result.unhandled(self._unhandled())
        return result

    def _unhandled(self) -> UnhandledCounts:
        return UnhandledCounts(
            other=keys.unhandled_other(PREFIX),
            index=keys.unhandled_index(PREFIX),
            alert_queue=ALERTS,
            ignored=keys.unhandled_ignored(PREFIX),
            threshold=THRESHOLD,
            expiry_seconds=3600,
            most_patterns=MOST_PATTERNS,
            other_alert=(b"meta other ", b""),
            patterns=[
                UnmatchedPattern(
                    counter_of(pattern), details_of(pattern), events, (f"meta {pattern} ".encode(), b""), pattern, "s",
                    [b"sample %d" % events],
                )
                for pattern, events in self.patterns.items()
            ],
        )  # fmt: skip


def counter_of(pattern: str) -> str:
    return keys.unhandled(PREFIX, pattern)


def details_of(pattern: str) -> str:
    return keys.unhandled_details(PREFIX, keys.unhandled_id(pattern))


@dataclass
class QueueModel:
    """One queue, those who work on it and all that came of it."""

    queue: list[bytes] = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)
    dead_letters: list[bytes] = field(default_factory=list)
    retries: dict[bytes, int] = field(default_factory=dict)
    batches: dict[Owner, list[bytes]] = field(default_factory=dict)
    settled: set[Owner] = field(default_factory=set)
    beating: set[str] = field(default_factory=set)
    returns: dict[bytes, int] = field(default_factory=dict)
    counter: int = 0
    hits: Counter[int] = field(default_factory=Counter)
    unhandled: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[bytes]] = field(default_factory=dict)

    def push(self, messages: Sequence[bytes]) -> None:
        self.queue += messages

    def claim(self, pod: str, batch_id: str, most: int) -> Batch:
        owner = (pod, batch_id)
        if owner not in self.batches:
            take = self._how_many(most)
            if take == 0:
                return Batch(batch_id, [])
            self.batches[owner], self.queue = self.queue[:take], self.queue[take:]
            self.beating.add(pod)
        return Batch(batch_id, list(self.batches[owner]))

    def _how_many(self, most: int) -> int:
        """All up to the first message that came back twice; that one is alone."""
        for number, message in enumerate(self.queue[:most]):
            if self.returns.get(message, 0) >= MOST_RETURNS - 1:
                return max(number, 1)
        return min(most, len(self.queue))

    def settle(self, pod: str, batch_id: str, plan: Plan) -> Settled:
        owner = (pod, batch_id)
        if owner not in self.batches:
            return Settled.ALREADY if owner in self.settled else Settled.FENCED
        for message in self.batches.pop(owner):
            self.returns.pop(message, None)
        self.settled.add(owner)
        self.alerts += plan.push
        self.dead_letters += plan.bury
        self.queue = plan.give_back + self.queue
        self.retries.update({message: rank for rank, message in plan.delay})
        self.counter += plan.count
        self.hits += plan.hits
        for pattern, events in plan.patterns.items():
            self._count(pattern, events)
        return Settled.SETTLED

    def _count(self, pattern: str, events: int) -> None:
        """One pattern of unmatched events; what exceeds the limit is counted together."""
        if pattern in self.samples or len(self.samples) < MOST_PATTERNS:
            samples = self.samples.setdefault(pattern, [])
            if b"sample %d" % events not in samples and len(samples) < 3:
                samples.append(b"sample %d" % events)
        else:
            pattern = "other"
        before, self.unhandled[pattern] = self.unhandled[pattern], self.unhandled[pattern] + events
        if before < THRESHOLD <= self.unhandled[pattern] and pattern != IGNORED_PATTERN:
            self.alerts.append(b"meta %s %d" % (pattern.encode(), self.unhandled[pattern]))

    def abandon(self, pod: str, batch_id: str) -> None:
        self._take_back((pod, batch_id))

    def give_back_if_dead(self, owner: Owner) -> tuple[int, int]:
        """JANITOR for one batch: (messages given back, messages buried)."""
        return (0, 0) if owner[0] in self.beating else self._take_back(owner)

    def _take_back(self, owner: Owner) -> tuple[int, int]:
        batch = self.batches.pop(owner, [])
        for message in batch:
            self.returns[message] = self.returns.get(message, 0) + 1
        guilty = [message for message in batch if self.returns[message] >= MOST_RETURNS]
        innocent = [message for message in batch if message not in guilty]
        for message in guilty:
            del self.returns[message]
        self.dead_letters += reversed(guilty)
        self.queue = innocent + self.queue
        return len(innocent), len(guilty)

    def promote(self) -> int:
        due = sorted((rank, message) for message, rank in self.retries.items() if rank < 0)
        for _, message in due:
            del self.retries[message]
            self.queue.insert(0, message)
        return len(due)

    def content(self) -> dict[str, object]:
        """All keys that Redis must hold, and what is in them; heartbeats and markers hold nothing of interest."""
        content: dict[str, object] = {
            ALERTER.queue: self.queue,
            ALERTS: self.alerts,
            ALERTER.dead_letters: self.dead_letters,
            ALERTER.retry: sorted(self.retries, key=self.retries.__getitem__),
            ALERTER.attempts: {hashlib.sha1(message).hexdigest(): n for message, n in self.returns.items()},  # noqa: S324
            COUNTER: self.counter,
        }
        content[HITS] = dict(self.hits)
        content[keys.unhandled_index(PREFIX)] = {counter_of(pattern) for pattern in self.samples}
        for pattern, events in self.unhandled.items():
            content[keys.unhandled_other(PREFIX) if pattern == "other" else counter_of(pattern)] = events
        content |= {details_of(pattern): samples for pattern, samples in self.samples.items()}
        content = {key: value for key, value in content.items() if value}
        for (pod, batch_id), messages in self.batches.items():
            content[f"{ALERTER.processing_prefix}:{pod}:{batch_id}"] = messages
        content |= {f"{ALERTER.heartbeat_prefix}:{pod}": None for pod in self.beating}
        content |= {f"mutt:done:alerter:{pod}:{batch_id}": None for pod, batch_id in self.settled}
        return content
