"""The ingest application: its parts, put together."""

import time
from typing import Any

import falcon
import redis
from prometheus_client import REGISTRY, CollectorRegistry

from mutt.credentials import open_credentials
from mutt.ingest.resources import IngestResource, RelayResource
from mutt.observability import tracing
from mutt.observability.metrics import IngestorMetrics
from mutt.queues.intake import Intake
from mutt.redisdb import keys
from mutt.redisdb.client import connect, outages
from mutt.redisdb.dynamic_config import start_dynamic_config
from mutt.redisdb.tally import Tally
from mutt.settings import Ingestor
from mutt.web import gauges, health, problems, sampling
from mutt.web.gauges import Read
from mutt.web.monitoring import HealthResource, MetricsResource

SERVICE = "mutt-ingestor"


def create_app(settings: Ingestor, registry: CollectorRegistry = REGISTRY) -> Any:
    """The WSGI application of one gunicorn worker; starts its background greenlets."""
    credentials = open_credentials(settings.credentials)
    credentials.start()
    client = connect(settings.redis, credentials, SERVICE)
    dynamic = start_dynamic_config(client, settings.general)
    tally = Tally(client)
    tally.start()
    metrics = IngestorMetrics(registry)
    tracing.start(settings.tracing, SERVICE, settings.general.pod, metrics.dropped_spans.inc)
    queue = settings.queues.ingest_queue

    def max_depth() -> int:
        return dynamic.integer("max_ingest_queue_size", settings.ingest.max_queue_size)

    def check_redis() -> None:
        with outages():
            client.ping()

    def check_credentials() -> None:
        credentials.get("INGEST_API_KEY")

    intake = Intake(client, queue, max_depth, settings.ingest.dead_letters_max, settings.ingest.wait_replicas)
    ingest = IngestResource(settings.ingest, credentials, intake, metrics, tally)
    checks = {"redis": check_redis, "credentials": check_credentials, "queue_depth": gauges.depth(client, queue)}
    figures = [
        Read(metrics.queue_depth, gauges.depth(client, queue)),
        Read(metrics.queue_capacity, max_depth),
        Read(metrics.dlq_depth, gauges.depth(client, keys.DLQ_INGEST)),
        Read(metrics.dlq_capacity, lambda: settings.ingest.dead_letters_max),
        Read(metrics.eps, lambda: accepted_per_second(client, time.time())),
    ]
    sampling.keep(sampling.of_secrets(metrics, credentials))

    app = falcon.App()
    app.add_error_handler(falcon.HTTPError, problems.handle_http_error)
    for path in ("/api/v2/ingest", "/api/v1/ingest", "/ingest", "/webhook"):
        app.add_route(path, ingest)
    app.add_route("/api/v2/ingest/rsyslog", RelayResource(settings.ingest, credentials, intake, metrics, tally))
    app.add_route("/health", HealthResource(lambda: health.report(SERVICE, checks)))
    app.add_route("/metrics", MetricsResource(lambda: gauges.refresh(figures)))
    return app


def accepted_per_second(client: redis.Redis, now: float) -> float:
    """Events accepted per second over the last minute. Raises OutageError.

    They are counted by clock minutes: the minute before this one counts by the share of it that is less than a
    minute ago.
    """
    minute, passed = int(now) // 60, now % 60 / 60
    with outages():
        current, before = client.mget(keys.metrics_ingest_minute(minute), keys.metrics_ingest_minute(minute - 1))
    return (int(current or 0) + int(before or 0) * (1 - passed)) / 60
