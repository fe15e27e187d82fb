"""The forwarder: delivers alerts to the webhook, never faster than its rate limit, never losing one."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import structlog

from mutt.errors import MuttError, Reason
from mutt.events import alert, dead_letter
from mutt.events.alert import Alert
from mutt.moogsoft import payload
from mutt.moogsoft.client import Answer, Verdict, WebhookClient
from mutt.moogsoft.permit import SLACK_SECONDS, Gate, Gatekeeper, Permit
from mutt.observability import tracing
from mutt.observability.metrics import ForwarderMetrics
from mutt.queues.reliable import Batch, ReliableQueue, Settlement
from mutt.redisdb import keys
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.redisdb.tally import Tally
from mutt.settings import ForwarderSettings, WebhookSettings
from mutt.store import deliveries
from mutt.store.deliveries import DeliveryRow
from mutt.store.pool import Database
from mutt.workers.batches import BatchWorker
from mutt.workers.lifecycle import Pace, StoppingError

log = structlog.get_logger(__name__)

LONGEST_NAP_SECONDS = 0.5
"""Between two questions for a permit: a circuit may be closed or a limit raised while we wait."""


class Sent(NamedTuple):
    """Alerts that went out in one request, how it ended, and whether a failure counts against them."""

    alerts: Sequence[Alert]
    answer: Answer
    counts: bool


class ForwarderWorker(BatchWorker):
    """One forwarder process; ``MOOG_LANES`` requests may be under way at once."""

    def __init__(
        self,
        queue: ReliableQueue,
        gatekeeper: Gatekeeper,
        client: WebhookClient,
        database: Database,
        dynamic: DynamicConfig,
        pace: Pace,
        metrics: ForwarderMetrics,
        settings: ForwarderSettings,
        webhook: WebhookSettings,
        tally: Tally,
    ) -> None:
        super().__init__(queue, pace, metrics, settings.lanes, settings.wait_seconds)
        self.forwarder_metrics = metrics
        self._gatekeeper = gatekeeper
        self._client = client
        self._database = database
        self._dynamic = dynamic
        self._webhook = webhook
        self._tally = tally
        self._permits: dict[str, tuple[Permit, float]] = {}

    def claim_batch(self) -> Batch:
        """The permit first, then what it covers: nothing is claimed only to be put back."""
        permit, granted_at = self._permit()
        batch = self.claim_messages(self._dynamic.integer("moog_batch_size"))
        if batch.messages:
            self._permits[batch.id] = (permit, granted_at)
        elif permit.is_probe:
            self.pace.until_possible(self._gatekeeper.return_probe)
        return batch

    def process(self, batch: Batch) -> Settlement:
        """Decode, deliver, log the attempts; then all that follows, for SETTLE to do at once."""
        permit, granted_at = self._permits.pop(batch.id)
        alerts, unreadable = self._decode(batch.messages)
        sent = self._deliver(alerts, permit, granted_at)
        self._log_attempts(sent)
        return self._settlement(sent, unreadable)

    def _permit(self, circuit_too: bool = True) -> tuple[Permit, float]:
        """A permit and when it was asked for; waits for the rate limit and, unless told otherwise, for the circuit.

        Raises StoppingError when told to stop meanwhile, or when the circuit is open and not to be waited for.
        """
        while True:
            asked_at = time.monotonic()
            permit = self.pace.until_possible(self._gatekeeper.ask)
            if permit.granted:
                return permit, asked_at
            if permit.gate is Gate.RATE:
                self.forwarder_metrics.rate_limit_hits.inc()
            elif not circuit_too:
                raise StoppingError
            if self.pace.stopping.wait(min(permit.wait_seconds, LONGEST_NAP_SECONDS)):
                raise StoppingError

    def _decode(self, messages: Sequence[bytes]) -> tuple[list[Alert], list[bytes]]:
        """The alerts, and dead letters for the messages that are none."""
        alerts, unreadable = [], []
        for message in messages:
            try:
                alerts.append(alert.decode(message))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                sentence = f"not an alert: {error}"
                now = datetime.now(UTC)
                letter = dead_letter.bury(message, Reason.UNREADABLE_MESSAGE, sentence, "moog", now, 1)
                unreadable.append(letter)
        self.metrics.dead_letters.labels(Reason.UNREADABLE_MESSAGE).inc(len(unreadable))
        return alerts, unreadable

    def _deliver(self, alerts: Sequence[Alert], permit: Permit, granted_at: float) -> list[Sent]:
        """One request, or more when the receiver refuses a batch: it is split until the guilty alert is alone."""
        sent: list[Sent] = []
        waiting = [alerts] if alerts else []
        while waiting:
            group = waiting.pop()
            if time.monotonic() - granted_at > SLACK_SECONDS and not permit.is_probe:
                try:
                    permit, granted_at = self._permit(circuit_too=False)
                except StoppingError:
                    # What was not sent yet goes back to the queue; what was sent must be settled all the same.
                    unsent = [each for part in (*waiting, group) for each in part]
                    answer = Answer(Verdict.RETRY, "", "stopped before it was sent", None, 0.0)
                    return [*sent, Sent(unsent, answer, counts=False)]
            outcome = self._send(group, permit)
            granted_at = 0.0  # One request is one permit.
            if outcome.answer.verdict is Verdict.REFUSED and len(group) > 1:
                permit = Permit(Gate.GO, 0.0)
                middle = len(group) // 2
                waiting += [group[middle:], group[:middle]]
            else:
                sent.append(outcome)
        return sent

    def _send(self, group: Sequence[Alert], permit: Permit) -> Sent:
        body = payload.encode(list(group), self._webhook.format, self._client.auth_token())
        with tracing.webhook_request(group) as trace:
            answer = self._client.post(body, trace.headers)
            trace.answered(answer.status, answer.reason)
        status = "success" if answer.verdict is Verdict.DELIVERED else "fail"
        self.forwarder_metrics.requests.labels(status, answer.reason).inc()
        self._tally.add(keys.SLO_MOOG_TOTAL)
        if answer.verdict is Verdict.DELIVERED:
            self._tally.add(keys.SLO_MOOG_GOOD)
            accepted_at = [each.ingestion_timestamp for each in group]
            self.forwarder_metrics.end_to_end.observe_since(accepted_at, time.time())
        self.forwarder_metrics.latency.observe(answer.latency_seconds)
        if answer.reason == "unauthorized":
            log.error("the webhook refuses our key: check MOOG_API_KEY and MOOG_AUTH", status=answer.status)
        counts = self.pace.until_possible(lambda: self._gatekeeper.record(permit, answer), stop_grace_seconds=5.0)
        return Sent(group, answer, counts)

    def _log_attempts(self, sent: Sequence[Sent]) -> None:
        """One row an alert and attempt for the journey. Paging somebody does not wait for PostgreSQL."""
        rows = [_attempt(each, item, self._webhook.max_retries) for each in sent for item in each.alerts]
        if not rows:
            return
        try:
            deliveries.write(self._database, rows)
        except MuttError as error:
            self.forwarder_metrics.unlogged.inc(len(rows))
            log.warning("delivery attempts not logged", alerts=len(rows), problem=str(error))

    def _settlement(self, sent: Sequence[Sent], unreadable: Sequence[bytes]) -> Settlement:
        settlement, outcomes = Settlement(), Counter(error=len(unreadable))
        settlement.push(self.queue.names.dead_letters, unreadable)
        for each in sent:
            if each.answer.verdict is Verdict.DELIVERED:
                outcomes["success"] += len(each.alerts)
            elif each.answer.verdict is Verdict.REFUSED:
                self._bury(settlement, each.alerts, Reason.REFUSED_BY_RECEIVER, each.answer.sentence)
                outcomes["dlq"] += len(each.alerts)
            elif each.counts:
                outcomes["dlq"] += self._try_again(settlement, each)
                outcomes["retry"] += len(each.alerts)
            else:
                # The receiver's fault, not the alerts': they wait in the queue for the circuit to close.
                settlement.give_back(self.queue.names.queue, [alert.encode(item) for item in each.alerts])
        settlement.add(keys.METRICS_MOOG_TOTAL, outcomes["success"])
        for status, number in outcomes.items():
            self.forwarder_metrics.alerts.labels(status).inc(number)
        return settlement

    def _try_again(self, settlement: Settlement, sent: Sent) -> int:
        """Retries with backoff; returns how many alerts had their last failure and became dead letters."""
        exhausted, retries = [], []
        for item in sent.alerts:
            item.retry_count += 1
            if item.retry_count >= self._webhook.max_retries:
                exhausted.append(item)
            else:
                wait = max(backoff_seconds(item.retry_count, self._webhook), sent.answer.hold_seconds)
                retries.append((wait, alert.encode(item)))
        settlement.delay(self.queue.names.retry, retries)
        self.metrics.retries.labels(sent.answer.reason).inc(len(retries))
        self._bury(settlement, exhausted, Reason.RETRIES_EXHAUSTED, sent.answer.sentence)
        return len(exhausted)

    def _bury(self, settlement: Settlement, alerts: Sequence[Alert], reason: Reason, sentence: str) -> None:
        now = datetime.now(UTC)
        letters = [
            dead_letter.bury(alert.encode(each), reason, sentence, "moog", now, each.retry_count, each.replay_count)
            for each in alerts
        ]
        settlement.push(self.queue.names.dead_letters, letters)
        self.metrics.dead_letters.labels(reason).inc(len(letters))


def backoff_seconds(failures: int, settings: WebhookSettings) -> float:
    """How long an alert waits after its nth failure: 1, 2, 4, 8, 16 s ... up to the maximum, and up to a tenth more.

    The jitter keeps alerts that failed together from coming back together.
    """
    delay = settings.retry_base_delay_seconds * 2.0 ** min(failures - 1, 30)
    return min(delay, settings.retry_max_delay_seconds) * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not a secret


def _attempt(sent: Sent, item: Alert, max_retries: int) -> DeliveryRow:
    answer = sent.answer
    final = answer.verdict is Verdict.REFUSED or (sent.counts and item.retry_count + 1 >= max_retries)
    outcome = "delivered" if answer.verdict is Verdict.DELIVERED else "dead_letter" if final else "retry"
    return DeliveryRow(
        item.event_id,
        item.correlation_id,
        item.retry_count + 1,
        datetime.now(UTC),
        outcome,
        answer.status,
        answer.reason or None,
        round(answer.latency_seconds * 1000, 3),
    )
