"""Remediation: replays dead letters after a while, a few times, and calls poison what keeps coming back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import msgspec
import structlog

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.observability.metrics import RemediationMetrics
from mutt.queues.reliable import Batch, ReliableQueue, Settlement
from mutt.redisdb import keys
from mutt.settings import RemediationSettings
from mutt.workers.lifecycle import Pace, StoppingError

log = structlog.get_logger(__name__)

BATCH_SIZE = 200


@dataclass(frozen=True, slots=True)
class Source:
    """A dead-letter list (as a queue of its own) and the queue that its messages came from."""

    name: str
    queue: ReliableQueue
    target: str


class RemediationWorker:
    """Looks at both dead-letter lists every REMEDIATION_SCAN_INTERVAL."""

    def __init__(
        self,
        alerter: Source,
        moog: Source,
        webhook_reachable: Callable[[], bool],
        pace: Pace,
        metrics: RemediationMetrics,
        settings: RemediationSettings,
    ) -> None:
        self.queues: Sequence[ReliableQueue] = (alerter.queue, moog.queue)
        self.waiting: set[gevent.Greenlet] = set()
        self._alerter = alerter
        self._moog = moog
        self._webhook_reachable = webhook_reachable
        self._pace = pace
        self._metrics = metrics
        self._settings = settings

    def prepare(self) -> None:
        """Nothing is needed before the first look."""

    def reload(self) -> None:
        """Nothing is cached."""

    def loops(self) -> Sequence[Callable[[], None]]:
        return [self.run]

    def run(self) -> None:
        while not self._pace.stopping.is_set():
            self.look()
            self._pace.stopping.wait(self._settings.scan_interval_seconds)

    def look(self) -> None:
        """One look at both lists. The forwarder's waits while the webhook is away: a replay would only fail again."""
        started = time.perf_counter()
        try:
            self._scan(self._alerter)
            healthy = self._webhook_reachable()
            self._metrics.webhook_healthy.set(healthy)
            if healthy:
                self._scan(self._moog)
        except StoppingError:
            return
        self._metrics.scan_duration.observe(time.perf_counter() - started)

    def _scan(self, source: Source) -> None:
        """Every letter that is in the list now, once: claimed from the old end, settled before the next batch."""
        left = self._pace.until_possible(source.queue.depth)
        while left > 0 and not self._pace.stopping.is_set():
            batch_id = source.queue.new_batch_id()
            most = min(left, BATCH_SIZE)
            batch = self._pace.until_possible(lambda: source.queue.claim(batch_id, most))  # noqa: B023 - used at once
            if not batch.messages:
                return
            self._settle(source, batch)
            left -= len(batch.messages)

    def _settle(self, source: Source, batch: Batch) -> None:
        settlement = self.judge(source, batch.messages, datetime.now(UTC))
        self._pace.until_possible(lambda: source.queue.settle(batch, settlement), stop_grace_seconds=5.0)

    def judge(self, source: Source, records: Sequence[bytes], now: datetime) -> Settlement:
        """Where each letter goes: back to its queue, to poison, or to the end of the list until it is due."""
        replays, poison, waiting = [], [], []
        for record in records:
            letter = dead_letter.exhume(record) or _bare(record, source.name, now)
            done = max(letter.replays, _replays_inside(letter.payload))
            if not isinstance(letter.payload, dict):
                poison.append(dead_letter.encode(_hopeless(letter)))
            elif done >= self._settings.max_retries:
                poison.append(dead_letter.encode(letter))
            elif now < letter.failed_at + timedelta(seconds=self._settings.backoff_base_seconds * (done + 1)):
                waiting.append(dead_letter.encode(letter))
            else:
                payload = {**letter.payload, "replay_count": done + 1, "retry_count": 0}
                replays.append(msgspec.json.encode(payload))
        if replays or poison:
            log.info("dead letters judged", source=source.name, replayed=len(replays), poison=len(poison))
        self._metrics.replayed.labels(source.name, "success").inc(len(replays))
        self._metrics.replayed.labels(source.name, "fail").inc(len(poison))
        settlement = Settlement()
        settlement.push(source.target, replays)
        settlement.push(keys.POISON, poison)
        settlement.push(source.queue.names.queue, waiting)
        return settlement


def _bare(record: bytes, service: str, now: datetime) -> DeadLetter:
    """A letter for a message that somebody put into the list without saying why."""
    reburied = dead_letter.exhume(
        dead_letter.bury(record, Reason.UNREADABLE_MESSAGE, "found without a reason", service, now)
    )
    assert reburied is not None  # noqa: S101 - bury writes what exhume reads
    return reburied


def _replays_inside(payload: Any) -> int:
    """The replays that the message itself remembers."""
    count = payload.get("replay_count", 0) if isinstance(payload, dict) else 0
    return count if isinstance(count, int) else 0


def _hopeless(letter: DeadLetter) -> DeadLetter:
    """A message that is not a JSON object fails the same way however often it is replayed."""
    return msgspec.structs.replace(
        letter, error=f"{letter.error} ({Reason.CANNOT_BE_REPLAYED}: the message is not a JSON object)"
    )
