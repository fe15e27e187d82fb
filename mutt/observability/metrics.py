"""Every metric of every program, declared here and nowhere else.

One class per program, so that no program exports another's zeros. Labels are created at start: a rate begins at zero
and not with its first failure. With several processes a program keeps its figures in files under
PROMETHEUS_MULTIPROC_DIR, which whoever answers /metrics adds up; how the gauges of several processes become one is
said by their mode. docs/reference/metrics.md is made of these declarations (see mutt/observability/reference.py).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mutt import __version__
from mutt.errors import Reason
from mutt.observability.histogram import AGE_SECONDS, AgeHistogram

LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENCY_MS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

INGEST_REFUSALS = (
    Reason.UNAUTHORIZED, Reason.TOO_MANY_WRONG_KEYS, Reason.NOT_JSON, Reason.NOT_AN_OBJECT,
    Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.EVENT_TOO_LARGE, Reason.BODY_TOO_LARGE,
    Reason.UNPACKED_TOO_LARGE, Reason.TOO_MANY_EVENTS, Reason.BAD_ENCODING, Reason.BODY_TIMEOUT, Reason.QUEUE_FULL,
    Reason.DEAD_LETTERS_FULL, Reason.REDIS_UNREACHABLE, Reason.REDIS_FULL, Reason.REDIS_READONLY, Reason.REDIS_LOADING,
    Reason.NO_CREDENTIALS, Reason.UNKNOWN_OUTCOME,
)  # fmt: skip

REFUSED_EVENTS = (
    Reason.NOT_JSON, Reason.NOT_AN_OBJECT, Reason.MISSING_FIELD, Reason.INVALID_FIELD, Reason.EVENT_TOO_LARGE,
)  # fmt: skip

OUTAGES = (
    Reason.REDIS_UNREACHABLE, Reason.REDIS_FULL, Reason.REDIS_LOADING, Reason.REDIS_READONLY,
    Reason.POSTGRES_UNREACHABLE, Reason.NO_CREDENTIALS, Reason.UNKNOWN_OUTCOME,
)  # fmt: skip

WEBHOOK_OUTCOMES = (
    ("success", ""), ("fail", "timeout"), ("fail", "connection"), ("fail", "server_error"),
    ("fail", "too_many_requests"), ("fail", "unauthorized"), ("fail", "client_error"), ("fail", "redirect"),
    ("fail", "bad_answer"),
)  # fmt: skip

AUDIT_TABLES = ("event_audit_log", "alert_delivery_log")

Mode = Literal["max", "mostrecent", "livesum", "livemax"]
"""How the gauges of a program's processes become one. ``mostrecent``: what one process read for all of them.
``livesum`` and ``livemax``: over the processes that live. ``max``: the same in all of them."""


def exposition() -> bytes:
    """The figures of this program in Prometheus's text format, of all its processes together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def _gauge(
    registry: CollectorRegistry, name: str, meaning: str, labels: Sequence[str] = (), mode: Mode = "mostrecent"
) -> Gauge:
    return Gauge(name, meaning, labels, registry=registry, multiprocess_mode=mode)


def _pool(registry: CollectorRegistry) -> tuple[Gauge, Gauge]:
    """(connections in use, connections at most) of a program that has PostgreSQL."""
    in_use = "Connections to PostgreSQL in use, of all processes together."
    most = "Connections to PostgreSQL that may be in use at once, of all processes together."
    return (
        _gauge(registry, "mutt_db_pool_connections_in_use", in_use, mode="livesum"),
        _gauge(registry, "mutt_db_pool_connections_max", most, mode="livesum"),
    )


def _retries(registry: CollectorRegistry, reasons: Iterable[str]) -> Counter:
    counter = Counter(
        "mutt_queue_retries", "Messages that were put aside for another try.", ["reason"], registry=registry
    )
    for reason in reasons:
        counter.labels(reason)
    return counter


class ProgramMetrics:
    """What every program exports."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        gauge = partial(_gauge, registry)
        self.build = gauge("mutt_build_info", "Always 1; the label says which version runs.", ["version"], "max")
        self.credentials_age = gauge(
            "mutt_credentials_age_seconds",
            "Time since the secrets were last read or seen unchanged, in the process where that is longest ago.",
            mode="livemax",
        )
        self.credentials_next = gauge(
            "mutt_credentials_next_check_seconds",
            "Time until the secrets are read, and in Vault the token renewed, the next time.",
            mode="livemax",
        )
        self.dropped_spans = Counter(
            "mutt_tracing_dropped_spans", "Spans that did not reach the OpenTelemetry collector.", registry=registry
        )
        self.build.labels(__version__).set(1)


class IngestorMetrics(ProgramMetrics):
    """The ingestor's metrics (port 8080)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(registry)
        gauge, counter = partial(_gauge, registry), partial(Counter, registry=registry)
        self.requests = counter("mutt_ingest_requests", "Ingest requests by outcome.", ["status", "reason"])
        self.events = counter("mutt_ingest_events", "Events by outcome.", ["status", "reason"])
        self.queue_depth = gauge("mutt_ingest_queue_depth", "Events in the ingest queue.")
        self.queue_capacity = gauge(
            "mutt_ingest_queue_capacity", "Depth of the ingest queue at which events are refused."
        )
        self.dlq_depth = gauge("mutt_ingest_dlq_depth", "Events that ingest refused and kept as dead letters.")
        self.dlq_capacity = gauge("mutt_ingest_dlq_capacity", "Refused events that are kept at most.")
        self.eps = gauge(
            "mutt_ingest_events_per_second", "Events accepted per second over the last minute, by all hosts together."
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
        for reason in REFUSED_EVENTS:
            self.events.labels("rejected", reason)


class WorkerMetrics(ProgramMetrics):
    """What all three workers export: the state of their own lifecycle."""

    def __init__(self, registry: CollectorRegistry = REGISTRY, buries: Iterable[str] = ()) -> None:
        super().__init__(registry)
        counter = partial(Counter, registry=registry)
        self.fenced = counter("mutt_queue_fenced_batches", "Batches that the janitor had taken when they were settled.")
        self.returned = counter("mutt_queue_returned_messages", "Messages given back from dead processes.")
        self.dead_letters = counter("mutt_queue_dead_letters", "Messages that became dead letters.", ["reason"])
        self.stalled = _gauge(
            registry, "mutt_worker_stalled", "Worker processes that have messages and settle none.", mode="livesum"
        )
        self.outages = counter(
            "mutt_dependency_outages", "Times work paused because a dependency was away.", ["reason"]
        )
        for outage in OUTAGES:
            self.outages.labels(outage)
        for reason in (*buries, Reason.KILLED_ITS_WORKER):
            self.dead_letters.labels(reason)


class AlerterMetrics(WorkerMetrics):
    """The alerter's metrics (port 8081)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        buries = (Reason.UNREADABLE_MESSAGE, Reason.CANNOT_BE_STORED, Reason.SHED)
        super().__init__(registry, buries)
        gauge, counter = partial(_gauge, registry), partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry, buckets=LATENCY_SECONDS)
        self.events = counter("mutt_alerter_events_processed", "Events by outcome.", ["status"])
        self.latency = histogram(
            "mutt_alerter_processing_latency_seconds", "Time from claiming a batch to settling it."
        )
        self.end_to_end = AgeHistogram(
            "mutt_alerter_end_to_end_latency_seconds", "Time from accepting an event to settling it.",
            registry=registry, buckets=AGE_SECONDS,
        )  # fmt: skip
        self.oldest_age = gauge(
            "mutt_alerter_oldest_event_age_seconds", "Time since the oldest event in the ingest queue was accepted."
        )
        self.queue_depth = gauge("mutt_alerter_queue_depth", "Alerts in the alert queue.")
        self.retry_depth = gauge("mutt_alerter_retry_depth", "Events that wait for another try.")
        self.retries = _retries(registry, [Reason.CANNOT_BE_STORED])
        self.shed = counter("mutt_alerter_shed_events", "Events shed or deferred.", ["mode"])
        self.rules = gauge("mutt_alerter_cache_rules_count", "Rules in use.")
        self.unusable_rules = gauge("mutt_alerter_cache_unusable_rules_count", "Stored rules that cannot be used.")
        self.dev_hosts = gauge("mutt_alerter_cache_dev_hosts_count", "Development hosts known.")
        self.teams = gauge("mutt_alerter_cache_teams_count", "Hosts with a team known.")
        self.load_seconds = histogram("mutt_alerter_cache_load_seconds", "Time to load all rules.")
        self.cache_age = gauge(
            "mutt_alerter_cache_age_seconds",
            "Time since the rules were loaded, in the process where that is longest ago.",
            mode="livemax",
        )
        self.dlq_depth = gauge("mutt_alerter_dlq_depth", "Dead letters of the alerter.")
        self.processing_depth = gauge("mutt_alerter_processing_list_depth", "Events in hand.", mode="livesum")
        self.reload_failures = counter("mutt_alerter_cache_reload_failures", "Reloads of the rules that failed.")
        self.db_latency = Histogram(
            "mutt_db_write_latency_ms",
            "Time to write one batch to the audit log.",
            buckets=LATENCY_MS,
            registry=registry,
        )
        self.pool_in_use, self.pool_max = _pool(registry)
        self.duplicates = counter("mutt_alerter_duplicates", "Events met before, by kind.", ["kind"])
        for status in ("handled", "unhandled", "poison", "error"):
            self.events.labels(status)
        for mode in ("dlq", "defer"):
            self.shed.labels(mode)
        for kind in ("redelivery", "resubmission"):
            self.duplicates.labels(kind)


class ForwarderMetrics(WorkerMetrics):
    """The forwarder's metrics (port 8083)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        buries = (Reason.UNREADABLE_MESSAGE, Reason.REFUSED_BY_RECEIVER, Reason.RETRIES_EXHAUSTED)
        super().__init__(registry, buries)
        gauge, counter = partial(_gauge, registry), partial(Counter, registry=registry)
        self.requests = counter("mutt_moog_requests", "Requests to the webhook.", ["status", "reason"])
        self.latency = Histogram(
            "mutt_moog_request_latency_seconds",
            "Time of a request to the webhook.",
            buckets=LATENCY_SECONDS,
            registry=registry,
        )
        self.end_to_end = AgeHistogram(
            "mutt_moog_end_to_end_latency_seconds", "Time from accepting an event to the webhook's answer.",
            registry=registry, buckets=AGE_SECONDS,
        )  # fmt: skip
        self.oldest_age = gauge(
            "mutt_moog_oldest_alert_age_seconds", "Time since the event of the oldest queued alert was accepted."
        )
        self.retry_depth = gauge("mutt_moog_retry_depth", "Alerts that wait for another try.")
        self.retries = _retries(registry, [reason for status, reason in WEBHOOK_OUTCOMES if status == "fail"])
        self.dlq_depth = gauge("mutt_moog_dlq_depth", "Dead letters of the forwarder.")
        self.processing_depth = gauge("mutt_moog_processing_list_depth", "Alerts in hand.", mode="livesum")
        self.rate_limit_hits = counter("mutt_moog_rate_limit_hits", "Times a request had to wait for the rate limit.")
        self.alerts = counter("mutt_moog_alerts_processed", "Alerts by outcome.", ["status"])
        self.circuit = gauge("mutt_moog_circuit_state", "Circuit breaker: 0 closed, 1 open, 2 half-open.")
        self.unlogged = counter(
            "mutt_moog_unlogged_deliveries", "Delivery attempts whose log row could not be written."
        )
        self.pool_in_use, self.pool_max = _pool(registry)
        for status, reason in WEBHOOK_OUTCOMES:
            self.requests.labels(status, reason)
        for status in ("success", "retry", "dlq", "error"):
            self.alerts.labels(status)


class RemediationMetrics(WorkerMetrics):
    """Remediation's metrics (port 8086)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(registry, buries=[Reason.RETRIES_EXHAUSTED, Reason.CANNOT_BE_REPLAYED])
        gauge, counter = partial(_gauge, registry), partial(Counter, registry=registry)
        self.replayed = counter("mutt_remediation_replayed", "Dead letters replayed or given up.", ["source", "status"])
        self.scan_duration = Histogram(
            "mutt_remediation_dlq_scan_duration_seconds", "Time of one look at the dead letters.", registry=registry
        )
        self.oldest_age = gauge(
            "mutt_remediation_oldest_dead_letter_age_seconds",
            "Time since the oldest dead letter failed, by the program it is of.",
            ["source"],
        )
        self.poison_depth = gauge("mutt_remediation_poison_depth", "Dead letters whose replays are used up.")
        self.webhook_healthy = gauge("mutt_remediation_webhook_healthy", "1 while the webhook answers.")
        for source in ("alerter", "moog"):
            self.oldest_age.labels(source)
            for status in ("success", "fail"):
                self.replayed.labels(source, status)


class WebUIMetrics(ProgramMetrics):
    """The web UI's metrics (port 8090). ``operations`` are the names of the statements it runs."""

    def __init__(self, registry: CollectorRegistry = REGISTRY, operations: Iterable[str] = ()) -> None:
        super().__init__(registry)
        gauge, counter = partial(_gauge, registry), partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.requests = counter("mutt_webui_api_requests", "API requests.", ["endpoint", "status"])
        self.latency = histogram(
            "mutt_webui_api_latency_seconds", "Time to answer an API request.", ["endpoint"], buckets=LATENCY_SECONDS
        )
        self.redis_scan = histogram(
            "mutt_webui_redis_scan_latency_seconds", "Time to read through a list or an index in Redis.",
            buckets=LATENCY_SECONDS,
        )  # fmt: skip
        self.db_query = histogram(
            "mutt_webui_db_query_latency_ms", "Time of a statement in PostgreSQL, by its name.", ["operation"],
            buckets=LATENCY_MS,
        )  # fmt: skip
        self.default_rows = gauge(
            "mutt_audit_default_partition_rows",
            "Rows whose month has no partition, by table; counted up to 1001.",
            ["table"],
        )
        self.missing_partitions = gauge(
            "mutt_audit_missing_partitions", "Partitions of this month and the next one that do not exist."
        )
        self.certificate_expiry = gauge(
            "mutt_certificate_expiry_timestamp_seconds",
            "Unix time when the certificate that a setting names expires; 0 when it cannot be read.",
            ["setting"],
        )
        self.pool_in_use, self.pool_max = _pool(registry)
        for operation in operations:
            self.db_query.labels(operation)
        for table in AUDIT_TABLES:
            self.default_rows.labels(table)

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
