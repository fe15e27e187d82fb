"""The figures of the overview: rates, queues, dead letters and the circuit."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from mutt.admin.shapes.overview import Figures
from mutt.events.age import age_seconds
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.settings import QueueSettings

WINDOWS_MINUTES = {"1m": 1, "15m": 15, "1h": 60, "24h": 1440}
DOCUMENTED = {"current_rate_1m": "1m", "avg_rate_15m": "15m", "avg_rate_1h": "1h", "avg_rate_24h": "24h"}


class Overview:
    """Reads what /api/v2/metrics and the overview page show."""

    def __init__(self, client: redis.Redis, queues: QueueSettings, cache_seconds: float) -> None:
        self._client = client
        self._queues = queues
        self._cache_seconds = cache_seconds
        self._cached: Figures | None = None

    def figures(self) -> Figures:
        """The figures, at most METRICS_CACHE_TTL seconds old. Raises OutageError."""
        if self._cached is None or not 0 <= time.time() - self._cached.timestamp <= self._cache_seconds:
            self._cached = self._read(time.time())
        return self._cached

    def _read(self, now: float) -> Figures:
        lists = self._lists()
        this_minute = int(now) // 60
        with outages():
            pipe = self._client.pipeline(transaction=False)
            pipe.mget([keys.metrics_ingest_minute(this_minute - age) for age in range(1441)])
            pipe.mget([keys.METRICS_INGEST_TOTAL, keys.METRICS_ALERTER_TOTAL, keys.METRICS_MOOG_TOTAL])
            pipe.mget([keys.CIRCUIT_STATE, keys.CIRCUIT_FAILURES, keys.CIRCUIT_OPENED_AT])
            for name in lists.values():
                pipe.llen(name)
            for name in lists.values():
                pipe.lindex(name, -1)
            pipe.zcard(keys.retry("alerter"))
            pipe.zcard(keys.retry("moog"))
            minutes, totals, circuit, *rest = pipe.execute()
        depths, oldest, retries = rest[: len(lists)], rest[len(lists) : -2], rest[-2:]
        rate = rates(minutes, now)
        state, failures, opened_at = (value.decode() if value else None for value in circuit)
        counters = ("ingest_total", "alerter_processed_total", "moog_forwarded_total")
        return Figures(
            timestamp=now,
            summary={name: rate[window] for name, window in DOCUMENTED.items()}
            | {f"eps_{window}": value for window, value in rate.items()},
            chart_24h=chart(minutes, now),
            counters={name: int(value or 0) for name, value in zip(counters, totals, strict=True)},
            queues=dict(zip(lists, depths, strict=True))
            | {"retry_alerter_depth": retries[0], "retry_moog_depth": retries[1]},
            circuit_breaker={
                "moog_state": state or "CLOSED",
                "failures": int(failures or 0),
                "opened_at": float(opened_at) if opened_at else None,
            },
            age_seconds={name: _age(record, now) for name, record in zip(lists, oldest, strict=True)},
        )

    def _lists(self) -> dict[str, str]:
        return {
            "ingest_queue_depth": self._queues.ingest_queue,
            "alert_queue_depth": self._queues.alert_queue,
            "dlq_alerter_depth": self._queues.alerter_dlq,
            "dlq_moog_depth": self._queues.moog_dlq,
            "dlq_ingest_depth": keys.DLQ_INGEST,
            "poison_depth": keys.POISON,
        }


def rates(minutes: Sequence[bytes | None], now: float) -> dict[str, float]:
    """Events per second by window, from the counters of single minutes (the current one first).

    The current minute is not over, so the oldest one counts by the share of it that lies within the window.
    """
    counts = [int(count or 0) for count in minutes]
    passed = (now % 60) / 60
    return {
        name: round((sum(counts[:size]) + counts[size] * (1 - passed)) / (size * 60), 3)
        for name, size in WINDOWS_MINUTES.items()
    }


def chart(minutes: Sequence[bytes | None], now: float) -> dict[str, list[Any]]:
    """Events per second in each of the last 24 clock hours (UTC), oldest first; the last one is under way."""
    counts = [int(count or 0) for count in minutes]
    this_minute = int(now) // 60
    into_hour = this_minute % 60
    labels, data = [], []
    for hours_ago in range(23, -1, -1):
        newest = max(0, into_hour + 1 + (hours_ago - 1) * 60) if hours_ago else 0
        size = 60 if hours_ago else into_hour + 1
        seconds = 3600 if hours_ago else max(1.0, now % 3600)
        start = (this_minute - into_hour - hours_ago * 60) * 60
        labels.append(datetime.fromtimestamp(start, UTC).strftime("%H:00"))
        data.append(round(sum(counts[newest : newest + size]) / seconds, 3))
    return {"labels": labels, "data": data}


def _age(record: bytes | None, now: float) -> float | None:
    age = age_seconds(record, datetime.fromtimestamp(now, UTC))
    return None if age is None else round(age, 1)
