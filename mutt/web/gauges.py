"""Gauges that are read when somebody asks for them: what lies in Redis belongs to no process."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import gevent
import redis
from prometheus_client import Gauge

from mutt.errors import MuttError
from mutt.events.age import age_seconds
from mutt.redisdb.client import outages
from mutt.web import health

Reading = Callable[[], float]
"""Returns the value; raises MuttError when it cannot be read now."""


class Read(NamedTuple):
    """A gauge and where its value comes from."""

    gauge: Gauge
    reading: Reading


def refresh(gauges: Sequence[Read]) -> None:
    """Reads all gauges at once. One that cannot be read in time, because Redis is away, keeps its value."""
    readers = [(gauge, gevent.spawn(_value, reading)) for gauge, reading in gauges]
    gevent.joinall([reader for _, reader in readers], timeout=health.DEADLINE_SECONDS)
    for gauge, reader in readers:
        if reader.value is not None:
            gauge.set(reader.value)
        reader.kill(block=False)


def _value(reading: Reading) -> float | None:
    try:
        return reading()
    except MuttError:
        return None


def depth(client: redis.Redis, name: str) -> Reading:
    """How many messages a list holds."""

    def read() -> float:
        with outages():
            return int(client.llen(name))

    return read


def waiting(client: redis.Redis, name: str) -> Reading:
    """How many messages a retry set holds."""

    def read() -> float:
        with outages():
            return int(client.zcard(name))

    return read


def oldest_age(client: redis.Redis, name: str) -> Reading:
    """How old the oldest message of a list is, 0 when there is none or it does not say."""

    def read() -> float:
        with outages():
            oldest: Any = client.lindex(name, -1)
        return (age_seconds(oldest, datetime.now(UTC)) or 0.0) if oldest else 0.0

    return read
