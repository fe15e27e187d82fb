"""Each program's parent put together from its settings: ports, health checks and gauges."""

from collections.abc import Sequence

import redis

from mutt.credentials import Credentials, open_credentials
from mutt.observability import metrics
from mutt.redisdb import keys
from mutt.redisdb.client import connect, outages
from mutt.redisdb.dynamic_config import start_dynamic_config
from mutt.settings import Alerter, Forwarder, Remediation
from mutt.store.pool import Database
from mutt.web.gauges import Read, depth, oldest_age, waiting
from mutt.web.health import Check
from mutt.workers.parent import Parent

CIRCUIT_NUMBERS = {"CLOSED": 0, "OPEN": 1, "HALF_OPEN": 2}


def parent_of_alerters(settings: Alerter) -> int:
    credentials, client = _connections(settings)
    own, queues, gauges = settings.alerter, settings.queues, metrics.AlerterMetrics()
    return Parent(
        "mutt-alerter",
        own.workers,
        settings.general.shutdown_timeout_seconds,
        {
            **_redis_checks(client, queues.ingest_queue),
            "postgres": Database(settings.database, credentials, "mutt-alerter-health").ping,
        },
        [
            Read(gauges.queue_depth, depth(client, queues.alert_queue)),
            Read(gauges.dlq_depth, depth(client, queues.alerter_dlq)),
            Read(gauges.retry_depth, waiting(client, keys.retry("alerter"))),
            Read(gauges.oldest_age, oldest_age(client, queues.ingest_queue)),
        ],
    ).run(settings.monitoring.bind_address, own.health_port, own.metrics_port)


def parent_of_forwarder(settings: Forwarder) -> int:
    _, client = _connections(settings)
    own, queues, gauges = settings.forwarder, settings.queues, metrics.ForwarderMetrics()

    def circuit() -> int:
        with outages():
            state = client.get(keys.CIRCUIT_STATE)
        return CIRCUIT_NUMBERS.get(state.decode() if isinstance(state, bytes) else "CLOSED", 0)

    return Parent(
        "mutt-forwarder",
        1,
        settings.general.shutdown_timeout_seconds,
        _redis_checks(client, queues.alert_queue),
        [
            Read(gauges.dlq_depth, depth(client, queues.moog_dlq)),
            Read(gauges.retry_depth, waiting(client, keys.retry("moog"))),
            Read(gauges.oldest_age, oldest_age(client, queues.alert_queue)),
            Read(gauges.circuit, circuit),
        ],
    ).run(settings.monitoring.bind_address, own.health_port, own.metrics_port)


def parent_of_remediation(settings: Remediation) -> int:
    _, client = _connections(settings)
    own, queues, gauges = settings.remediation, settings.queues, metrics.RemediationMetrics()
    dead_letters: Sequence[str] = (queues.alerter_dlq, queues.moog_dlq)

    def letters() -> int:
        return sum(int(depth(client, name)()) for name in dead_letters)

    return Parent(
        "mutt-remediation",
        1,
        settings.general.shutdown_timeout_seconds,
        {**_redis_checks(client, queues.alerter_dlq), "queue_depth": letters},
        [
            Read(gauges.poison_depth, depth(client, keys.POISON)),
            Read(gauges.oldest_age.labels("alerter"), oldest_age(client, queues.alerter_dlq)),
            Read(gauges.oldest_age.labels("moog"), oldest_age(client, queues.moog_dlq)),
        ],
    ).run(settings.monitoring.bind_address, own.health_port, own.metrics_port)


def _connections(settings: Alerter | Forwarder | Remediation) -> tuple[Credentials, redis.Redis]:
    credentials = open_credentials(settings.credentials)
    credentials.start()
    client = connect(settings.redis, credentials, "mutt-health")
    start_dynamic_config(client, settings.general)
    return credentials, client


def _redis_checks(client: redis.Redis, queue: str) -> dict[str, Check]:
    def ping() -> None:
        with outages():
            client.ping()

    return {"redis": ping, "queue_depth": depth(client, queue)}
