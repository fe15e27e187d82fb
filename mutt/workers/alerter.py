"""The alerter: decides about every event, writes its audit row and queues its alert."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import gevent
import msgspec
import structlog

from mutt.errors import EventError, Reason
from mutt.events import alert, dead_letter, event
from mutt.events.admit import Limits, adopt
from mutt.events.event import Event
from mutt.observability import tracing
from mutt.observability.metrics import AlerterMetrics
from mutt.queues.backpressure import Backpressure
from mutt.queues.reliable import Batch, ReliableQueue, Settlement
from mutt.redisdb import keys
from mutt.rules import pattern
from mutt.rules.decision import Decision, alert_of, decide
from mutt.settings import AlerterSettings
from mutt.store import audit
from mutt.store.audit import AuditRow, Fate, Verdict
from mutt.store.pool import Database
from mutt.workers.batches import BatchWorker
from mutt.workers.lifecycle import Pace
from mutt.workers.meta_alerts import MetaAlerts
from mutt.workers.rule_cache import RuleCache

log = structlog.get_logger(__name__)

LONGEST_RETRY_SECONDS = 60.0


class Decided(NamedTuple):
    """An event with the decision about it."""

    event: Event
    decision: Decision


class AlerterWorker(BatchWorker):
    """One alerter process; ``ALERTER_LANES`` batches are in hand at once."""

    def __init__(
        self,
        queue: ReliableQueue,
        alert_queue: str,
        database: Database,
        rule_cache: RuleCache,
        backpressure: Backpressure,
        pace: Pace,
        metrics: AlerterMetrics,
        settings: AlerterSettings,
    ) -> None:
        super().__init__(queue, pace, metrics, settings.lanes, settings.wait_seconds)
        self.alerter_metrics = metrics
        self._alert_queue = alert_queue
        self._database = database
        self._rules = rule_cache
        self._backpressure = backpressure
        self._warned = False
        self._settings = settings
        self._meta_alerts = MetaAlerts(settings, alert_queue)

    def prepare(self) -> None:
        self.pace.until_possible(self._rules.load)
        gevent.spawn(self._rules.keep_fresh)

    def reload(self) -> None:
        self._rules.reload()

    def claim_batch(self) -> Batch | None:
        if self._held_back():
            return None
        return self.claim_messages(self._settings.batch_size)

    def _held_back(self) -> bool:
        """Whether the forwarder must catch up first; then it gets a moment, and load may be shed."""
        pressure = self.pace.until_possible(self._backpressure.look)
        if pressure.warn and not self._warned:
            log.warning("the alert queue is deep", depth=pressure.depth, shedding=pressure.shed, mode=pressure.mode)
        self._warned = pressure.warn
        if not pressure.shed:
            return False
        self.alerter_metrics.shed.labels(pressure.mode).inc(max(pressure.parked, 1 if pressure.mode == "defer" else 0))
        self.metrics.dead_letters.labels(Reason.SHED).inc(pressure.parked)
        self.pace.stopping.wait(pressure.pause_seconds)
        return True

    def process(self, batch: Batch) -> Settlement:
        """Decode, decide, audit; then all that follows, for SETTLE to do at once."""
        started = time.perf_counter()
        events, unreadable = self._decode(batch.messages)
        with tracing.batch(events) as trace:
            decided = self._decide(events)
            verdicts = self._audit(decided)
            trace.decided(decided)
            settlement = self._settlement(decided, verdicts, unreadable)
        self.alerter_metrics.latency.observe(time.perf_counter() - started)
        return settlement

    def settled(self, settlement: Settlement) -> None:
        self.alerter_metrics.end_to_end.observe_since(settlement.accepted_at, time.time())

    def _decode(self, messages: Sequence[bytes]) -> tuple[list[Event], list[bytes]]:
        """The events, and dead letters for the messages that are none."""
        events: list[Event] = []
        unreadable: list[bytes] = []
        for message in messages:
            try:
                events.append(event.decode(message))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self._adopt(message, events, unreadable)
        return events, unreadable

    def _adopt(self, message: bytes, events: list[Event], unreadable: list[bytes]) -> None:
        now = datetime.now(UTC)
        try:
            events.append(adopt(message, now, Limits()))
        except EventError as error:
            unreadable.append(dead_letter.bury(message, Reason.UNREADABLE_MESSAGE, str(error), "alerter", now, 1))

    def _decide(self, events: Sequence[Event]) -> list[Decided]:
        snapshot = self._rules.snapshot
        return [Decided(each, decide(each, snapshot)) for each in events]

    def _audit(self, decided: Sequence[Decided]) -> list[Verdict]:
        """One verdict an event; waits while PostgreSQL is away."""
        rows = [_row(each) for each in decided]
        started = time.perf_counter()
        verdicts = self.pace.until_possible(lambda: audit.write(self._database, rows)) if rows else []
        self.alerter_metrics.db_latency.observe((time.perf_counter() - started) * 1000)
        return verdicts

    def _settlement(
        self, decided: Sequence[Decided], verdicts: Sequence[Verdict], unreadable: Sequence[bytes]
    ) -> Settlement:
        alerts, patterns, settlement = [], [], Settlement()
        outcomes: Counter[str] = Counter(poison=len(unreadable))
        hits: Counter[int] = Counter()
        for each, verdict in zip(decided, verdicts, strict=True):
            if verdict.fate is Fate.REFUSED:
                outcomes["error"] += 1
                self._try_again_or_bury(each.event, verdict.detail, settlement)
                continue
            outcomes["unhandled" if each.decision.rule_id is None else "handled"] += 1
            if verdict.fate is Fate.RESUBMITTED:
                continue  # The source sent it twice; its alert went out the first time.
            if each.decision.forward:
                alerts.append(alert.encode(alert_of(each.event, each.decision)))
            if each.decision.rule_id is None:
                patterns.append((pattern.unhandled_pattern(each.event.source, each.event.message), each.event))
            else:
                hits[each.decision.rule_id] += 1
        settlement.push(self._alert_queue, alerts)
        settlement.push(self.queue.names.dead_letters, unreadable)
        settlement.accepted_at = [
            each.event.ingestion_timestamp
            for each, verdict in zip(decided, verdicts, strict=True)
            if verdict.fate is not Fate.REFUSED
        ]
        settlement.hits(hits, datetime.now(UTC))
        settlement.unhandled(self._meta_alerts.counts(patterns))
        settlement.add(keys.METRICS_ALERTER_TOTAL, len(decided) + len(unreadable))
        self.metrics.dead_letters.labels(Reason.UNREADABLE_MESSAGE).inc(len(unreadable))
        self._count(outcomes, verdicts)
        return settlement

    def _try_again_or_bury(self, failed: Event, problem: str, settlement: Settlement) -> None:
        failed.retry_count += 1
        if failed.retry_count < self._settings.max_retries:
            wait = min(2.0**failed.retry_count, LONGEST_RETRY_SECONDS)
            settlement.delay(self.queue.names.retry, [(wait, event.encode(failed))])
            self.metrics.retries.labels(Reason.CANNOT_BE_STORED).inc()
            return
        letter = dead_letter.bury(
            event.encode(failed),
            Reason.CANNOT_BE_STORED,
            problem,
            "alerter",
            datetime.now(UTC),
            failed.retry_count,
            failed.replay_count,
        )
        settlement.push(self.queue.names.dead_letters, [letter])
        self.metrics.dead_letters.labels(Reason.CANNOT_BE_STORED).inc()

    def _count(self, outcomes: "Counter[str]", verdicts: Sequence[Verdict]) -> None:
        for outcome, number in outcomes.items():
            self.alerter_metrics.events.labels(outcome).inc(number)
        fates = Counter(verdict.fate for verdict in verdicts)
        self.alerter_metrics.duplicates.labels("redelivery").inc(fates[Fate.REDELIVERED])
        self.alerter_metrics.duplicates.labels("resubmission").inc(fates[Fate.RESUBMITTED])


def _row(decided: Decided) -> AuditRow:
    item, decision = decided
    return AuditRow(
        event_id=item.event_id,
        correlation_id=item.correlation_id,
        event_timestamp=item.timestamp,
        hostname=item.hostname,
        message=item.message,
        source=item.source,
        syslog_severity=item.syslog_severity,
        trap_oid=item.trap_oid,
        rule_id=decision.rule_id,
        team_assignment=decision.team,
        handling=decision.handling,
        attributes=event.attributes_text(item),
        ingestion_timestamp=item.ingestion_timestamp,
        content_hash=event.content_hash(item),
    )
