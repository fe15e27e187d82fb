"""The door to the ingest queue: a whole batch is taken, or none of it."""

import time
from collections.abc import Callable, Sequence

import redis

from mutt.errors import OutageError, Reason
from mutt.redisdb import keys, scripts


class Intake:
    """Takes accepted events (and refused ones, as dead letters) into Redis."""

    def __init__(
        self,
        client: redis.Redis,
        queue: str,
        max_depth: Callable[[], int],
        max_dead_letters: int,
        wait_replicas: int = 0,
    ) -> None:
        self._client = client
        self._queue = queue
        self._max_depth = max_depth
        self._max_dead_letters = max_dead_letters
        self._wait_replicas = wait_replicas

    def push(self, events: Sequence[bytes], dead_letters: Sequence[bytes] = (), strict: bool = False) -> int:
        """Takes the batch and returns the depth of the queue.

        ``strict`` refuses the batch when its dead letters have no room; otherwise they are dropped at the cap, because
        the source is told about them in the answer. Raises OutageError (nothing was taken) with the reason, and
        UnknownOutcomeError when Redis's answer was lost.
        """
        minute = keys.metrics_ingest_minute(int(time.time()) // 60)
        outcome, depth = scripts.PUSH.run(
            self._client,
            [self._queue, minute, keys.METRICS_INGEST_TOTAL, keys.DLQ_INGEST],
            [self._max_depth(), self._max_dead_letters, int(strict), len(events), *events, *dead_letters],
            self._wait_replicas,
        )
        if outcome == 0:
            raise OutageError(Reason.QUEUE_FULL, f"the ingest queue is full ({depth} events); send this again later")
        if outcome < 0:
            raise OutageError(
                Reason.DEAD_LETTERS_FULL,
                f"{keys.DLQ_INGEST} is full ({self._max_dead_letters} refused events); look at them and discard some",
            )
        return int(depth)
