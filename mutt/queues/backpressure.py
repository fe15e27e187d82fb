"""Backpressure: what the alerter does when the forwarder cannot keep up."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.queues.reliable import ReliableQueue
from mutt.redisdb import scripts
from mutt.redisdb.client import outages
from mutt.redisdb.dynamic_config import DynamicConfig

WHY = "parked: the alert queue was too deep; it comes back by itself"
MOST_AT_ONCE = 1000
"""Events parked in one step; between two steps the forwarder gets alerter_defer_sleep_ms to catch up."""


class Mode(StrEnum):
    """How load is shed: ``dlq`` parks events with the dead letters, ``defer`` only waits."""

    DLQ = "dlq"
    DEFER = "defer"


@dataclass(frozen=True, slots=True)
class Pressure:
    """What a look at the alert queue found. ``parked`` events were moved out of the way."""

    depth: int
    warn: bool
    shed: bool
    mode: Mode
    parked: int
    pause_seconds: float


class Backpressure:
    """Looks at the alert queue before each batch. Thresholds and mode are dynamic settings."""

    def __init__(self, queue: ReliableQueue, alert_queue: str, dynamic: DynamicConfig) -> None:
        self._queue = queue
        self._alert_queue = alert_queue
        self._dynamic = dynamic

    def look(self) -> Pressure:
        """The pressure now; in mode dlq at the shed threshold it parks events first. Raises OutageError.

        Parking counts no attempt: remediation puts the events back once the alert queue is below the warn threshold.
        """
        shed_at = self._dynamic.integer("alerter_queue_shed_threshold")
        mode = Mode(self._dynamic.text("alerter_shed_mode"))
        with outages():
            depth, parked = int(self._queue.client.llen(self._alert_queue)), 0
        if depth >= shed_at and mode is Mode.DLQ:
            depth, parked = self._park(shed_at)
        return Pressure(
            depth,
            warn=depth >= warn_threshold(self._dynamic),
            shed=depth >= shed_at,
            mode=mode,
            parked=parked,
            pause_seconds=self._dynamic.integer("alerter_defer_sleep_ms") / 1000,
        )

    def _park(self, shed_at: int) -> tuple[int, int]:
        """(depth of the alert queue, events parked): the oldest ones, while the queue is still too deep."""
        names, now = self._queue.names, datetime.now(UTC)
        with outages():
            events: list[Any] = self._queue.client.lrange(names.queue, -MOST_AT_ONCE, -1)
        pairs: list[bytes] = []
        for event in reversed(events):
            pairs += [event, dead_letter.bury(event, Reason.SHED, WHY, names.service, now)]
        keys = [names.queue, self._alert_queue, names.dead_letters]
        depth, parked = scripts.SHED.run(self._queue.client, keys, [shed_at, *pairs])
        return depth, parked


def warn_threshold(dynamic: DynamicConfig) -> int:
    """Depth of the alert queue that is worth a warning, and below which parked events come back."""
    return dynamic.integer("alerter_queue_warn_threshold")
