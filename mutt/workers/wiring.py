"""Each worker put together from its settings: what a child process runs."""

from gevent.event import Event as Flag

from mutt.credentials import Credentials, open_credentials
from mutt.moogsoft.client import WebhookClient
from mutt.moogsoft.permit import Gatekeeper
from mutt.observability import metrics, tracing
from mutt.queues.backpressure import Backpressure, warn_threshold
from mutt.queues.reliable import QueueNames, ReliableQueue
from mutt.redisdb import keys
from mutt.redisdb.client import connect
from mutt.redisdb.dynamic_config import start_dynamic_config
from mutt.redisdb.subscriber import Subscriber
from mutt.redisdb.tally import Tally
from mutt.settings import Alerter, Forwarder, Remediation
from mutt.store.pool import Database
from mutt.web import sampling
from mutt.workers.alerter import AlerterWorker
from mutt.workers.forwarder import ForwarderWorker
from mutt.workers.lifecycle import Lease, Lifecycle, Pace
from mutt.workers.remediation import RemediationWorker, Source
from mutt.workers.rule_cache import RuleCache

REMEDIATION_LEASE_SECONDS = 30.0


def alerter_names(settings: Alerter) -> QueueNames:
    return QueueNames(
        "alerter",
        settings.queues.ingest_queue,
        settings.queues.alerter_dlq,
        settings.alerter.processing_prefix,
        settings.alerter.heartbeat_prefix,
    )


def forwarder_names(settings: Forwarder) -> QueueNames:
    return QueueNames(
        "moog",
        settings.queues.alert_queue,
        settings.queues.moog_dlq,
        settings.forwarder.processing_prefix,
        settings.forwarder.heartbeat_prefix,
    )


def dead_letter_names(source: str, dead_letters: str) -> QueueNames:
    """A dead-letter list as a queue that remediation works on; its own failures are poison."""
    service = f"remediation-{source}"
    return QueueNames(service, dead_letters, keys.POISON, f"mutt:processing:{service}", f"mutt:heartbeat:{service}")


def run_alerter(settings: Alerter, status_fd: int | None) -> None:
    credentials = _started(open_credentials(settings.credentials))
    worker_metrics, own = metrics.AlerterMetrics(), settings.alerter
    tracing.start(settings.tracing, "mutt-alerter", settings.general.pod, worker_metrics.dropped_spans.inc)
    pace = Pace(Flag(), worker_metrics)
    client = connect(settings.redis, credentials, "mutt-alerter", own.wait_seconds)
    dynamic = start_dynamic_config(client, settings.general)
    database = Database(settings.database, credentials, "mutt-alerter")

    def reload_interval() -> float:
        return float(dynamic.integer("cache_reload_interval", round(own.cache_reload_interval_seconds)))

    rule_cache = RuleCache(database, worker_metrics, reload_interval)
    dynamic.on_change("cache_reload_interval", rule_cache.interval_changed)
    queue = ReliableQueue(client, alerter_names(settings), settings.general.pod, own.janitor_timeout_seconds)
    backpressure = Backpressure(queue, settings.queues.alert_queue, dynamic)
    worker = AlerterWorker(
        queue, settings.queues.alert_queue, database, rule_cache, backpressure, pace, worker_metrics, own
    )
    # The empty message at every connection is the worker's own start, or a chance that a change was missed.
    Subscriber(client, {keys.RULES_UPDATES: lambda _message: rule_cache.reload()}).start()
    sampling.keep(
        sampling.of_secrets(worker_metrics, credentials),
        sampling.of_pool(worker_metrics.pool_in_use, worker_metrics.pool_max, database),
        lambda: worker_metrics.cache_age.set(rule_cache.age_seconds()),
    )
    lease = Lease(own.heartbeat_interval_seconds, own.janitor_timeout_seconds)
    Lifecycle(pace, worker_metrics, lease, settings.general, status_fd).run(worker, credentials)


def run_forwarder(settings: Forwarder, status_fd: int | None) -> None:
    credentials = _started(open_credentials(settings.credentials))
    worker_metrics, own, webhook = metrics.ForwarderMetrics(), settings.forwarder, settings.webhook
    tracing.start(settings.tracing, "mutt-forwarder", settings.general.pod, worker_metrics.dropped_spans.inc)
    pace = Pace(Flag(), worker_metrics)
    client = connect(settings.redis, credentials, "mutt-forwarder", own.wait_seconds)
    dynamic = start_dynamic_config(client, settings.general)
    tally = Tally(client)
    tally.start()
    database = Database(settings.database, credentials, "mutt-forwarder", statement_timeout_seconds=2)
    gatekeeper = Gatekeeper(client, webhook, lambda: dynamic.integer("moog_rate_limit", webhook.rate_limit))
    worker = ForwarderWorker(
        ReliableQueue(client, forwarder_names(settings), settings.general.pod, own.janitor_timeout_seconds),
        gatekeeper,
        WebhookClient(webhook, credentials, own.lanes),
        database,
        dynamic,
        pace,
        worker_metrics,
        own,
        webhook,
        tally,
    )
    sampling.keep(
        sampling.of_secrets(worker_metrics, credentials),
        sampling.of_pool(worker_metrics.pool_in_use, worker_metrics.pool_max, database),
    )
    lease = Lease(own.heartbeat_interval_seconds, own.janitor_timeout_seconds)
    Lifecycle(pace, worker_metrics, lease, settings.general, status_fd).run(worker, credentials)
    tally.stop()


def run_remediation(settings: Remediation, status_fd: int | None) -> None:
    credentials = _started(open_credentials(settings.credentials))
    worker_metrics, queues = metrics.RemediationMetrics(), settings.queues
    pace = Pace(Flag(), worker_metrics)
    client = connect(settings.redis, credentials, "mutt-remediation")
    dynamic = start_dynamic_config(client, settings.general)

    def source(name: str, dead_letters: str, target: str) -> Source:
        names = dead_letter_names(name, dead_letters)
        return Source(name, ReliableQueue(client, names, settings.general.pod, REMEDIATION_LEASE_SECONDS), target)

    worker = RemediationWorker(
        source("alerter", queues.alerter_dlq, queues.ingest_queue),
        source("moog", queues.moog_dlq, queues.alert_queue),
        WebhookClient(settings.webhook, credentials, connections=1).reachable,
        lambda: warn_threshold(dynamic),
        pace,
        worker_metrics,
        settings.remediation,
    )
    sampling.keep(sampling.of_secrets(worker_metrics, credentials))
    lease = Lease(REMEDIATION_LEASE_SECONDS / 3, REMEDIATION_LEASE_SECONDS)
    Lifecycle(pace, worker_metrics, lease, settings.general, status_fd).run(worker, credentials)


def _started(credentials: Credentials) -> Credentials:
    credentials.start()
    return credentials
