"""Delayed retries: messages that wait for their next try without anybody waiting for them."""

from typing import NamedTuple

import redis

from mutt.queues.reliable import QueueNames
from mutt.redisdb import scripts

MOST_AT_ONCE = 1000


class Promoted(NamedTuple):
    """``moved`` messages are back in the queue; the next is due in ``next_seconds`` (None when none waits)."""

    moved: int
    next_seconds: float | None


def promote(client: redis.Redis, names: QueueNames) -> Promoted:
    """Puts the retries that are due back into the queue, oldest end first. Raises OutageError."""
    moved, next_ms = scripts.PROMOTE.run(client, [names.retry, names.queue], [MOST_AT_ONCE])
    return Promoted(moved, None if next_ms < 0 else next_ms / 1000)
