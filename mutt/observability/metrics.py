"""Every metric of every program, declared here and nowhere else.

One class per program, so that no program exports another's zeros. Labels are created at start: a rate begins at zero
and not with its first failure. With several processes a program keeps its figures in files under
PROMETHEUS_MULTIPROC_DIR, which whoever answers /metrics adds up.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mutt.errors import Reason

LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENCY_MS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

INGEST_REFUSALS = (
    Reason.UNAUTHORIZED, Reason.TOO_MANY_WRONG_KEYS, Reason.NOT_JSON, Reason.NOT_AN_OBJECT,
    Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.EVENT_TOO_LARGE, Reason.BODY_TOO_LARGE,
    Reason.UNPACKED_TOO_LARGE, Reason.TOO_MANY_EVENTS, Reason.BAD_ENCODING, Reason.BODY_TIMEOUT, Reason.QUEUE_FULL,
    Reason.DEAD_LETTERS_FULL, Reason.REDIS_UNREACHABLE, Reason.REDIS_FULL, Reason.REDIS_READONLY, Reason.REDIS_LOADING,
    Reason.NO_CREDENTIALS, Reason.UNKNOWN_OUTCOME,
)  # fmt: skip

WEBHOOK_OUTCOMES = (
    ("success", ""), ("fail", "timeout"), ("fail", "connection"), ("fail", "server_error"),
    ("fail", "too_many_requests"), ("fail", "unauthorized"), ("fail", "client_error"), ("fail", "redirect"),
    ("fail", "bad_answer"),
)  # fmt: skip


def exposition() -> bytes:
    """The figures of this program in Prometheus's text format, of all its processes together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


class IngestorMetrics:
    """The ingestor's metrics (port 8080)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = Counter(
            "mutt_ingest_requests", "Ingest requests by outcome.", ["status", "reason"], registry=registry
        )
        self.events = Counter("mutt_ingest_events", "Events by outcome.", ["status", "reason"], registry=registry)
        self.queue_depth = Gauge(
            "mutt_ingest_queue_depth", "Events in the ingest queue.", multiprocess_mode="mostrecent", registry=registry
        )
        self.latency = Histogram(
            "mutt_ingest_latency_seconds",
            "Time to answer an ingest request.",
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.requests.labels("success", "")
        self.events.labels("accepted", "")
        for reason in INGEST_REFUSALS:
            self.requests.labels("fail", reason)
        for reason in (
            Reason.NOT_JSON,
            Reason.NOT_AN_OBJECT,
            Reason.MISSING_FIELD,
            Reason.INVALID_FIELD,
            Reason.EVENT_TOO_LARGE,
        ):
            self.events.labels("rejected", reason)


class WorkerMetrics:
    """What all three workers export: the state of their own lifecycle."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.fenced = Counter(
            "mutt_queue_fenced_batches", "Batches that the janitor had taken when they were settled.", registry=registry
        )
        self.returned = Counter(
            "mutt_queue_returned_messages", "Messages given back from dead processes.", registry=registry
        )
        self.stalled = Gauge(
            "mutt_worker_stalled",
            "Worker processes that have messages and settle none.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.outages = Counter(
            "mutt_dependency_outages", "Times work paused because a dependency was away.", ["reason"], registry=registry
        )
        for reason in (Reason.REDIS_UNREACHABLE, Reason.REDIS_FULL, Reason.REDIS_LOADING, Reason.REDIS_READONLY,
                       Reason.POSTGRES_UNREACHABLE, Reason.NO_CREDENTIALS, Reason.UNKNOWN_OUTCOME):  # fmt: skip
            self.outages.labels(reason)


class AlerterMetrics(WorkerMetrics):
    """The alerter's metrics (port 8081)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(registry)
        self.events = Counter("mutt_alerter_events_processed", "Events by outcome.", ["status"], registry=registry)
        self.latency = Histogram(
            "mutt_alerter_processing_latency_seconds", "Time from claiming a batch to settling it.",
            buckets=LATENCY_SECONDS, registry=registry,
        )  # fmt: skip
        self.queue_depth = Gauge(
            "mutt_alerter_queue_depth", "Alerts in the alert queue.", multiprocess_mode="mostrecent", registry=registry
        )
        self.shed = Counter("mutt_alerter_shed_events", "Events shed or deferred.", ["mode"], registry=registry)
        self.rules = Gauge(
            "mutt_alerter_cache_rules_count", "Rules in use.", multiprocess_mode="mostrecent", registry=registry
        )
        self.unusable_rules = Gauge(
            "mutt_alerter_cache_unusable_rules_count", "Stored rules that cannot be used.",
            multiprocess_mode="mostrecent", registry=registry,
        )  # fmt: skip
        self.dev_hosts = Gauge(
            "mutt_alerter_cache_dev_hosts_count",
            "Development hosts known.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self.teams = Gauge(
            "mutt_alerter_cache_teams_count",
            "Hosts with a team known.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self.dlq_depth = Gauge(
            "mutt_alerter_dlq_depth", "Dead letters of the alerter.", multiprocess_mode="mostrecent", registry=registry
        )
        self.processing_depth = Gauge(
            "mutt_alerter_processing_list_depth", "Events in hand.", multiprocess_mode="livesum", registry=registry
        )
        self.reload_failures = Counter(
            "mutt_alerter_cache_reload_failures", "Reloads of the rules that failed.", registry=registry
        )
        self.db_latency = Histogram(
            "mutt_db_write_latency_ms",
            "Time to write one batch to the audit log.",
            buckets=LATENCY_MS,
            registry=registry,
        )
        self.duplicates = Counter("mutt_alerter_duplicates", "Events met before, by kind.", ["kind"], registry=registry)
        for status in ("handled", "unhandled", "poison", "error"):
            self.events.labels(status)
        for mode in ("dlq", "defer"):
            self.shed.labels(mode)
        for kind in ("redelivery", "resubmission"):
            self.duplicates.labels(kind)


class ForwarderMetrics(WorkerMetrics):
    """The forwarder's metrics (port 8083)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(registry)
        self.requests = Counter(
            "mutt_moog_requests", "Requests to the webhook.", ["status", "reason"], registry=registry
        )
        self.latency = Histogram(
            "mutt_moog_request_latency_seconds",
            "Time of a request to the webhook.",
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.dlq_depth = Gauge(
            "mutt_moog_dlq_depth", "Dead letters of the forwarder.", multiprocess_mode="mostrecent", registry=registry
        )
        self.processing_depth = Gauge(
            "mutt_moog_processing_list_depth", "Alerts in hand.", multiprocess_mode="livesum", registry=registry
        )
        self.rate_limit_hits = Counter(
            "mutt_moog_rate_limit_hits", "Times a request had to wait for the rate limit.", registry=registry
        )
        self.alerts = Counter("mutt_moog_alerts_processed", "Alerts by outcome.", ["status"], registry=registry)
        self.circuit = Gauge(
            "mutt_moog_circuit_state", "Circuit breaker: 0 closed, 1 open, 2 half-open.",
            multiprocess_mode="mostrecent", registry=registry,
        )  # fmt: skip
        self.unlogged = Counter(
            "mutt_moog_unlogged_deliveries", "Delivery attempts whose log row could not be written.", registry=registry
        )
        for status, reason in WEBHOOK_OUTCOMES:
            self.requests.labels(status, reason)
        for status in ("success", "retry", "dlq", "error"):
            self.alerts.labels(status)


class RemediationMetrics(WorkerMetrics):
    """Remediation's metrics (port 8086)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(registry)
        self.replayed = Counter(
            "mutt_remediation_replayed", "Dead letters replayed or given up.", ["source", "status"], registry=registry
        )
        self.scan_duration = Histogram(
            "mutt_remediation_dlq_scan_duration_seconds", "Time of one look at the dead letters.", registry=registry
        )
        self.webhook_healthy = Gauge(
            "mutt_remediation_webhook_healthy",
            "1 while the webhook answers.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        for source in ("alerter", "moog"):
            for status in ("success", "fail"):
                self.replayed.labels(source, status)


class WebUIMetrics:
    """The web UI's metrics (port 8090). ``operations`` are the names of the statements it runs."""

    def __init__(self, registry: CollectorRegistry = REGISTRY, operations: Iterable[str] = ()) -> None:
        self.requests = Counter("mutt_webui_api_requests", "API requests.", ["endpoint", "status"], registry=registry)
        self.latency = Histogram(
            "mutt_webui_api_latency_seconds", "Time to answer an API request.", ["endpoint"], buckets=LATENCY_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.redis_scan = Histogram(
            "mutt_webui_redis_scan_latency_seconds", "Time to read through a list or an index in Redis.",
            buckets=LATENCY_SECONDS, registry=registry,
        )  # fmt: skip
        self.db_query = Histogram(
            "mutt_webui_db_query_latency_ms", "Time of a statement in PostgreSQL, by its name.", ["operation"],
            buckets=LATENCY_MS, registry=registry,
        )  # fmt: skip
        for operation in operations:
            self.db_query.labels(operation)

    def expect(self, endpoint: str) -> None:
        """Creates the endpoint's labels, so that its rates begin at zero."""
        self.requests.labels(endpoint, "200")
        self.latency.labels(endpoint)

    def observe_query(self, operation: str, seconds: float) -> None:
        """Notes how long a statement took."""
        self.db_query.labels(operation).observe(seconds * 1000)


@contextmanager
def timed_scan(metrics: WebUIMetrics) -> Iterator[None]:
    """Notes how long the block took to read through a list or an index in Redis."""
    with metrics.redis_scan.time():
        yield
