"""The queue protocol in plain Python: what the Lua scripts must do, without Redis, clocks or other processes.

Lists are oldest first. A place in the retry set is a rank instead of a time: below zero is due, and the smaller comes
first. Heartbeats end when the test says so.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mutt.queues.reliable import MOST_RETURNS, Batch, Settled, Settlement
from tests.support.queues import ALERTER, ALERTS

COUNTER = "mutt:metrics:alerter:total"
SECONDS_A_RANK = 1000
"""So far apart that the time a test takes cannot change the order of two retries."""

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

    def settlement(self) -> Settlement:
        result = Settlement()
        result.push(ALERTS, self.push)
        result.give_back(ALERTER.queue, self.give_back)
        result.push(ALERTER.dead_letters, self.bury)
        result.delay(ALERTER.retry, [(rank * SECONDS_A_RANK, message) for rank, message in self.delay])
        result.add(COUNTER, self.count)
        return result


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
        return Settled.SETTLED

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
        content = {key: value for key, value in content.items() if value}
        for (pod, batch_id), messages in self.batches.items():
            content[f"{ALERTER.processing_prefix}:{pod}:{batch_id}"] = messages
        content |= {f"{ALERTER.heartbeat_prefix}:{pod}": None for pod in self.beating}
        content |= {f"mutt:done:alerter:{pod}:{batch_id}": None for pod, batch_id in self.settled}
        return content
