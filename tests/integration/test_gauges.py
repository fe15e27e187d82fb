"""Gauges that are read from Redis when Prometheus asks, and what the web UI notes of database and certificates."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from prometheus_client import CollectorRegistry

from mutt import settings
from mutt.admin import sampling
from mutt.credentials import open_credentials
from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.ingest.app import accepted_per_second
from mutt.observability.metrics import AlerterMetrics, WebUIMetrics
from mutt.redisdb import keys
from mutt.store.pool import Database
from mutt.web import gauges
from mutt.web import sampling as own
from mutt.web.gauges import Read
from tests.support.postgres import PASSWORD, ROLE, PrivatePostgres


def test_the_age_of_the_oldest_message_is_that_of_the_old_end(redis_client: redis.Redis) -> None:
    now = datetime.now(UTC)
    read = gauges.oldest_age(redis_client, "mutt:ingest_queue")
    assert read() == 0
    for seconds in (90, 30):
        moment = (now - timedelta(seconds=seconds)).isoformat()
        redis_client.lpush("mutt:ingest_queue", f'{{"ingestion_timestamp": "{moment}"}}')
    assert read() == pytest.approx(90, abs=5)
    letter = dead_letter.bury(b'{"ingestion_timestamp": "2020-01-01T00:00:00Z"}', Reason.SHED, "parked", "alerter", now)
    redis_client.rpush("mutt:ingest_queue", letter)
    assert read() == pytest.approx(0, abs=5)  # A dead letter is as old as its failure.


@pytest.mark.parametrize("message", [b"not json", b'{"ingestion_timestamp": 7}', b"\xff", b"{}", b"[" * 100_000])
def test_a_message_that_does_not_say_its_age_has_none(redis_client: redis.Redis, message: bytes) -> None:
    redis_client.lpush("odd", message)
    assert gauges.oldest_age(redis_client, "odd")() == 0


def test_a_time_without_an_offset_is_utc(redis_client: redis.Redis) -> None:
    naive = (datetime.now(UTC) - timedelta(seconds=60)).replace(tzinfo=None).isoformat()
    redis_client.lpush("odd", f'{{"ingestion_timestamp": "{naive}"}}')
    assert gauges.oldest_age(redis_client, "odd")() == pytest.approx(60, abs=5)


def test_what_cannot_be_read_keeps_its_value(redis_client: redis.Redis) -> None:
    registry = CollectorRegistry()
    metrics = AlerterMetrics(registry)
    away = redis.Redis(port=1, socket_connect_timeout=0.2)
    redis_client.lpush("queue", "a", "b")
    redis_client.zadd("later", {"c": 1})
    metrics.dlq_depth.set(7)
    gauges.refresh([
        Read(metrics.queue_depth, gauges.depth(redis_client, "queue")),
        Read(metrics.retry_depth, gauges.waiting(redis_client, "later")),
        Read(metrics.dlq_depth, gauges.depth(away, "queue")),
    ])  # fmt: skip
    found = [registry.get_sample_value(f"mutt_alerter_{name}_depth") for name in ("queue", "retry", "dlq")]
    assert found == [2, 1, 7]


def test_events_per_second_count_the_last_sixty_seconds(redis_client: redis.Redis) -> None:
    now = 1_800_000_015.0  # A quarter of a minute after its beginning.
    redis_client.set(keys.metrics_ingest_minute(int(now) // 60), 300)
    redis_client.set(keys.metrics_ingest_minute(int(now) // 60 - 1), 400)
    assert accepted_per_second(redis_client, now) == pytest.approx((300 + 400 * 0.75) / 60)
    assert accepted_per_second(redis_client, now + 600) == 0


def database(postgres_server: PrivatePostgres, name: str, tmp_path: Path) -> Database:
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text(f"DB_PASS_CURRENT={PASSWORD}\n")
    wanted = settings.load(settings.Admin, {
        "MUTT_ENV_FILE": str(tmp_path / "none.env"), "MUTT_SECRETS_BACKEND": "file", "MUTT_SECRETS_FILE": str(secrets),
        "DB_HOST": "127.0.0.1", "DB_PORT": str(postgres_server.port), "DB_NAME": name, "DB_USER": ROLE,
        "DB_TLS_ENABLED": "false", "DB_POOL_MAX_CONN": "3",
    })  # fmt: skip
    credentials = open_credentials(wanted.credentials)
    credentials.refresh()
    return Database(wanted.database, credentials, "test")


def test_partitions_and_connections_are_noted(postgres_server: PrivatePostgres, tmp_path: Path) -> None:
    pool = database(postgres_server, postgres_server.create_migrated_database(), tmp_path)
    registry = CollectorRegistry()
    metrics = WebUIMetrics(registry)
    pool.run(lambda connection: connection.cursor().execute(
        "INSERT INTO alert_delivery_log_default (event_id, correlation_id, attempt, attempted_at, outcome) "
        "VALUES (gen_random_uuid(), gen_random_uuid(), 1, '2001-01-01', 'delivered')"
    ))  # fmt: skip
    drop = f"DROP TABLE event_audit_log_{datetime.now(UTC):%Y%m}"
    pool.run(lambda connection: connection.cursor().execute(drop))
    sampling.of_partitions(metrics, pool)()
    own.of_pool(metrics.pool_in_use, metrics.pool_max, pool)()
    value = registry.get_sample_value
    assert value("mutt_audit_missing_partitions") == 1
    assert value("mutt_audit_default_partition_rows", {"table": "alert_delivery_log"}) == 1
    assert value("mutt_audit_default_partition_rows", {"table": "event_audit_log"}) == 0
    assert (value("mutt_db_pool_connections_in_use"), value("mutt_db_pool_connections_max")) == (0, 3)
    in_use: list[int] = []
    pool.run(lambda _connection: in_use.append(pool.connections_in_use))
    assert in_use == [1]
    pool.close()


def test_secrets_that_were_never_read_grow_old(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = AlerterMetrics(registry)
    wanted = settings.load(
        settings.Admin, {"MUTT_SECRETS_BACKEND": "file", "MUTT_SECRETS_FILE": str(tmp_path / "none.env"),
                         "MUTT_ENV_FILE": str(tmp_path / "none")}
    )  # fmt: skip
    credentials = open_credentials(wanted.credentials)
    sample = own.of_secrets(metrics, credentials)
    time.sleep(0.05)
    sample()
    assert 0.05 <= (registry.get_sample_value("mutt_credentials_age_seconds") or 0) < 5
    assert registry.get_sample_value("mutt_credentials_next_check_seconds") == 1
