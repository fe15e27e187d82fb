"""The figures of the overview: rates, queues, dead letters, circuit, and the latest events."""

import time
from collections.abc import Sequence
from typing import Any

import redis

from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.settings import QueueSettings
from mutt.store import events
from mutt.store.pool import Database

WINDOWS_MINUTES = {"1m": 1, "15m": 15, "1h": 60, "24h": 1440}


class Overview:
    """Reads the figures that the dashboard and /api/v2/metrics show."""

    def __init__(self, client: redis.Redis, database: Database, queues: QueueSettings) -> None:
        self._client = client
        self._database = database
        self._queues = queues

    def figures(self) -> dict[str, Any]:
        """``summary`` (events per second by window), ``counters``, ``queues``, ``circuit_breaker``, ``timestamp``.

        Raises OutageError.
        """
        now = time.time()
        with outages():
            pipe = self._client.pipeline(transaction=False)
            pipe.mget(
                [keys.metrics_ingest_minute(int(now) // 60 - age) for age in range(max(WINDOWS_MINUTES.values()) + 1)]
            )
            pipe.mget([keys.METRICS_INGEST_TOTAL, keys.METRICS_ALERTER_TOTAL, keys.METRICS_MOOG_TOTAL])
            pipe.get(keys.CIRCUIT_STATE)
            lists = self._lists()
            for name in lists.values():
                pipe.llen(name)
            minutes, totals, circuit, *depths = pipe.execute()
        return {
            "timestamp": now,
            "summary": {f"eps_{name}": rate for name, rate in rates(minutes, now).items()},
            "counters": {
                name: int(value or 0)
                for name, value in zip(
                    ("ingest_total", "alerter_processed_total", "moog_forwarded_total"), totals, strict=True
                )
            },
            "queues": dict(zip(lists, depths, strict=True)),
            "circuit_breaker": {"moog_state": circuit.decode() if circuit else "CLOSED"},
        }

    def latest_events(self, most: int) -> list[dict[str, Any]]:
        """The newest rows of the audit log, newest first. Raises OutageError."""
        return events.latest(self._database, most)

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
