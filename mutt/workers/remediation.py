"""Remediation: replays dead letters after a while, a few times, and calls poison what keeps coming back."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import gevent
import msgspec
import structlog
from gevent.lock import BoundedSemaphore

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.observability.metrics import RemediationMetrics
from mutt.queues.reliable import Batch, ReliableQueue, Settlement
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.settings import RemediationSettings
from mutt.workers.lifecycle import Pace, StoppingError

log = structlog.get_logger(__name__)

BATCH_SIZE = 200
PARKED_AT_ONCE = 1000
PARKED_INTERVAL_SECONDS = 0.25
"""Between two looks at parked events; a thousand events each keep a calm alert queue calm."""


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
        calm_depth: Callable[[], int],
        pace: Pace,
        metrics: RemediationMetrics,
        settings: RemediationSettings,
    ) -> None:
        self.queues: Sequence[ReliableQueue] = (alerter.queue, moog.queue)
        self.waiting: set[gevent.Greenlet] = set()
        self._alerter = alerter
        self._moog = moog
        self._webhook_reachable = webhook_reachable
        self._calm_depth = calm_depth
        self._pace = pace
        self._metrics = metrics
        self._settings = settings
        self._one_scans = BoundedSemaphore(1)

    def prepare(self) -> None:
        """Nothing is needed before the first look."""

    def reload(self) -> None:
        """Nothing is cached."""

    def loops(self) -> Sequence[Callable[[], None]]:
        return [self.run, self.return_parked]

    def run(self) -> None:
        while not self._pace.stopping.is_set():
            self.look()
            self._pace.stopping.wait(self._settings.scan_interval_seconds)

    def return_parked(self) -> None:
        """Puts events that were parked under pressure back as soon as the alert queue is calm, the oldest first."""
        while not self._pace.stopping.is_set():
            with contextlib.suppress(StoppingError):
                self._return_some()
            self._pace.stopping.wait(PARKED_INTERVAL_SECONDS)

    def _return_some(self) -> None:
        oldest = self._pace.until_possible(self._oldest_letter)
        if oldest and oldest.reason == Reason.SHED and self._pace.until_possible(self._calm):
            with self._one_scans:
                self._settle(self._alerter, self._claim(self._alerter, PARKED_AT_ONCE))

    def _oldest_letter(self) -> DeadLetter | None:
        queue = self._alerter.queue
        with outages():
            oldest = queue.client.lindex(queue.names.queue, -1)
        return dead_letter.exhume(oldest) if isinstance(oldest, bytes) else None

    def _claim(self, source: Source, most: int) -> Batch:
        """Up to ``most`` letters, through outages: asked again after a lost reply it is the same batch."""
        batch_id = source.queue.new_batch_id()
        return self._pace.until_possible(lambda: source.queue.claim(batch_id, most))

    def _calm(self) -> bool:
        """Whether the alert queue, which the forwarder's dead letters go back to, is below the warn threshold."""
        with outages():
            return int(self._moog.queue.client.llen(self._moog.target)) < self._calm_depth()

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
        with self._one_scans:
            self._scan_all(source)

    def _scan_all(self, source: Source) -> None:
        left = self._pace.until_possible(source.queue.depth)
        while left > 0 and not self._pace.stopping.is_set():
            batch = self._claim(source, min(left, BATCH_SIZE))
            if not batch.messages:
                return
            self._settle(source, batch)
            left -= len(batch.messages)

    def _settle(self, source: Source, batch: Batch) -> None:
        with self._pace.in_hand():
            self._judge_and_settle(source, batch)

    def _judge_and_settle(self, source: Source, batch: Batch) -> None:
        calm = self._pace.until_possible(self._calm)
        try:
            settlement = self.judge(source, batch.messages, datetime.now(UTC), calm)
        except Exception:
            # As in every worker's loop: one letter must not stop the others; its returns are counted.
            log.exception("failed; the dead letters go back to their list", letters=len(batch.messages))
            buried = self._pace.until_possible(lambda: source.queue.abandon(batch))
            self._metrics.dead_letters.labels(Reason.KILLED_ITS_WORKER).inc(buried)
            return
        self._pace.until_possible(lambda: source.queue.settle(batch, settlement), stop_grace_seconds=5.0)

    def judge(self, source: Source, records: Sequence[bytes], now: datetime, calm: bool) -> Settlement:
        """Where each letter goes: back to its queue, to poison, or to the end of the list until it is due.

        A parked event waits for calm and for nothing else: it uses no replay and never becomes poison.
        """
        replays: list[bytes] = []
        poison: list[bytes] = []
        waiting: list[bytes] = []
        for record in records:
            letter = dead_letter.found(record, source.name, now)
            message = dead_letter.message_for_replay(letter)
            if letter.reason == Reason.SHED and not calm:
                waiting.append(record)
            elif message is None:
                poison.append(dead_letter.encode(_hopeless(letter)))
                self._metrics.dead_letters.labels(Reason.CANNOT_BE_REPLAYED).inc()
            elif letter.reason == Reason.SHED:
                replays.append(message)
            elif dead_letter.replays_done(letter) >= self._settings.max_retries:
                poison.append(dead_letter.encode(letter))
                self._metrics.dead_letters.labels(Reason.RETRIES_EXHAUSTED).inc()
            elif now < dead_letter.due_at(letter, self._settings.backoff_base_seconds):
                waiting.append(dead_letter.encode(letter))
            else:
                replays.append(message)
        if replays or poison:
            log.info("dead letters judged", source=source.name, replayed=len(replays), poison=len(poison))
        self._metrics.replayed.labels(source.name, "success").inc(len(replays))
        self._metrics.replayed.labels(source.name, "fail").inc(len(poison))
        settlement = Settlement()
        settlement.push(source.target, replays)
        settlement.push(keys.POISON, poison)
        settlement.push(source.queue.names.queue, waiting)
        return settlement


def _hopeless(letter: DeadLetter) -> DeadLetter:
    """A message that is not a JSON object fails the same way however often it is replayed."""
    return msgspec.structs.replace(
        letter, error=f"{letter.error} ({Reason.CANNOT_BE_REPLAYED}: the message is not a JSON object)"
    )
