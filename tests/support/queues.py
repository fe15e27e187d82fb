"""A queue as tests handle it: messages put in, lists looked at oldest first, processes that die."""

from collections.abc import Sequence

import redis

from mutt.queues.reliable import QueueNames, ReliableQueue, Settlement
from mutt.redisdb import keys

ALERTER = QueueNames(
    "alerter", "mutt:ingest_queue", "mutt:dlq:alerter", "mutt:processing:alerter", "mutt:heartbeat:alerter"
)
ALERTS = "mutt:alert_queue"


def a_queue(client: redis.Redis, pod: str = "host-1", lease_seconds: float = 30.0) -> ReliableQueue:
    """The alerter's queue as one process sees it."""
    return ReliableQueue(client, ALERTER, pod, lease_seconds)


def numbered(count: int, name: str = "m") -> list[bytes]:
    return [f"{name}{number}".encode() for number in range(count)]


def put(client: redis.Redis, messages: Sequence[bytes], queue: str = ALERTER.queue) -> None:
    """Queues the messages in their order, the first of them the oldest."""
    for start in range(0, len(messages), 5000):
        client.lpush(queue, *messages[start : start + 5000])


def oldest_first(client: redis.Redis, key: str = ALERTER.queue) -> list[bytes]:
    """The messages of a queue or a dead-letter list."""
    return list(reversed(client.lrange(key, 0, -1)))


def in_hand(client: redis.Redis, queue: ReliableQueue, batch_id: str) -> list[bytes]:
    """The messages of a claimed batch, oldest first."""
    return client.lrange(keys.processing(queue.names.processing_prefix, queue.pod, batch_id), 0, -1)


def die(queue: ReliableQueue) -> None:
    """As if the process had been silent for longer than its lease."""
    queue.client.delete(queue.heartbeat_key)


def settlement(**steps: Sequence[bytes]) -> Settlement:
    """A settlement of ``push`` (to the alert queue), ``bury`` and ``give_back``."""
    result = Settlement()
    result.push(ALERTS, steps.get("push", ()))
    result.push(ALERTER.dead_letters, steps.get("bury", ()))
    result.give_back(ALERTER.queue, steps.get("give_back", ()))
    return result
