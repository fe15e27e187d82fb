"""Counters by the hour in Redis, kept without asking Redis at every turn.

A process adds up what it counts and hands it over every few seconds. What cannot be handed over, because Redis is
away, is kept and counts for the hour in which it happened. A process that is killed loses its last few seconds.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import gevent
import redis
import structlog

from mutt.errors import OutageError
from mutt.redisdb import keys
from mutt.redisdb.client import outages

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 2.0

KEPT_SECONDS = 31 * 24 * 3600
"""One day more than the longest window that slo_window_hours accepts."""


class Tally:
    """What one process counts. ``clock`` gives Unix time."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._waiting: Counter[tuple[str, int]] = Counter()
        self._greenlet: gevent.Greenlet | None = None

    def add(self, name: str, number: int = 1) -> None:
        """Counts; never asks Redis."""
        self._waiting[name, hour_of(self._clock())] += number

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._keep_flushing)

    def stop(self) -> None:
        """Hands over what is left, if Redis takes it."""
        if self._greenlet:
            self._greenlet.kill()
            self._greenlet = None
        self._try_to_flush()

    def flush(self) -> None:
        """Hands over what was counted. Raises OutageError and keeps it when Redis does not take it."""
        counted, self._waiting = self._waiting, Counter()
        if not counted:
            return
        try:
            with outages():
                pipe = self._client.pipeline(transaction=True)
                for (name, hour), number in counted.items():
                    pipe.incrby(keys.tally(name, hour), number)
                    pipe.expire(keys.tally(name, hour), KEPT_SECONDS)
                pipe.execute()
        except OutageError:
            # A lost answer makes these count twice; losing the failures of an outage would be worse.
            self._waiting.update(counted)
            raise

    def _keep_flushing(self) -> None:
        while True:
            gevent.sleep(FLUSH_SECONDS)
            self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except OutageError as error:
            log.debug("counters not handed over", reason=error.reason)


def counted_by_hour(client: redis.Redis, name: str, hours: Sequence[int]) -> list[int]:
    """The counter in each of the hours (Unix time divided by 3600). Raises OutageError."""
    with outages():
        stored = client.mget([keys.tally(name, hour) for hour in hours])
    return [int(number or 0) for number in stored]


def hour_of(moment: float) -> int:
    return int(moment) // 3600
