"""docs/operations/backup-and-restore.md, done for real: dump and copy, servers lost, new ones filled, all there."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
import redis

from mutt.store import migrations
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.upkeep import Site
from tests.support.waiting import wait_until

TABLES = ("alert_rules", "event_audit_log", "alert_delivery_log", "config_audit_log", "schema_migrations")
MESSAGES = 500


@pytest.fixture
def own_redis() -> Iterator[PrivateRedis]:
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


def test_a_dump_restores_every_row_and_mutt_accepts_the_schema(
    postgres_server: PrivatePostgres, redis_server: PrivateRedis, tmp_path: Path
) -> None:
    site = Site(postgres_server, redis_server, tmp_path)
    now = datetime.now(UTC)
    site.fill(now, 300)
    site.fill(datetime(2019, 5, 1, tzinfo=UTC), 7)
    site.fill(now, 40, table="deliveries")
    before = {table: contents(site.dsn, table) for table in TABLES}
    assert [len(before[table]) for table in TABLES[1:3]] == [307, 40]
    dump = tmp_path / "mutt.dump"
    run(postgres_server, "pg_dump", "--format", "custom", "--file", str(dump), site.dsn)
    schema = postgres_server.schema(site.database)
    postgres_server.execute(f'DROP DATABASE "{site.database}" WITH (FORCE)')

    postgres_server.create_database(site.database)
    run(postgres_server, "pg_restore", "--exit-on-error", "--no-owner", "--dbname", site.dsn, str(dump))

    assert {table: contents(site.dsn, table) for table in TABLES} == before
    assert postgres_server.schema(site.database) == schema
    with closing(psycopg2.connect(site.dsn)) as connection:
        migrations.verify(connection)
    # The restored database goes on: upkeep sees its partitions, and new rows get ids of their own.
    site.upkeep("partitions")
    site.fill(now, 5)
    assert site.count("event_audit_log") == 312


def test_a_copy_of_the_append_only_files_brings_the_queues_back(own_redis: PrivateRedis, tmp_path: Path) -> None:
    with own_redis.client() as client:
        client.lpush("mutt:alert_queue", *(f"alert {n}" for n in range(100)))
        client.bgrewriteaof()
        wait_until(lambda: not rewriting(client), "the first rewrite to end")
        client.lpush("mutt:ingest_queue", *(f"event {n}" for n in range(MESSAGES)))
        client.hset("mutt:unhandled_ignored", "digest", "{}")
        client.config_set("auto-aof-rewrite-percentage", 0)
        wait_until(lambda: not rewriting(client), "no rewrite to be under way")
        # With fsync every second the file has every write at once; only a power cut could take the last second.
        shutil.copytree(own_redis.folder / "appendonlydir", tmp_path / "appendonlydir")
        expected = everything(client)
    own_redis.kill()
    shutil.rmtree(own_redis.folder / "appendonlydir")
    own_redis.start()
    with own_redis.client() as client:
        assert client.dbsize() == 0
    own_redis.kill()

    shutil.rmtree(own_redis.folder / "appendonlydir")
    shutil.copytree(tmp_path / "appendonlydir", own_redis.folder / "appendonlydir")
    own_redis.start()

    with own_redis.client() as client:
        assert everything(client) == expected
        assert client.llen("mutt:ingest_queue") == MESSAGES


def contents(dsn: str, table: str) -> list[str]:
    """All rows of the table as JSON, in order."""
    with closing(psycopg2.connect(dsn, options="-c TimeZone=UTC")) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1")  # noqa: S608 - our own names
        return [row for (row,) in cursor]


def everything(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {name: client.dump(name) for name in client.scan_iter()}


def rewriting(client: redis.Redis) -> bool:
    persistence = client.info("persistence")
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


def run(server: PrivatePostgres, program: str, *arguments: str) -> None:
    done = subprocess.run([server.program(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
