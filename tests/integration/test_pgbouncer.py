"""MUTT with a PgBouncer in transaction mode before PostgreSQL: nothing of a session may be relied on."""

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg2
import pytest
from gevent import joinall, spawn

from mutt.errors import OutageError
from mutt.maintenance.session import ADVISORY_LOCK
from mutt.store import audit, migrations, rules
from mutt.store.audit import AuditRow, Fate
from mutt.store.connections import Connection
from mutt.store.pool import Database
from tests.support.pgbouncer import PrivatePgBouncer, find_program
from tests.support.postgres import PASSWORD, ROLE, Passwords, PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.upkeep import Site
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    find_program() is None and not os.environ.get("CI"), reason="PgBouncer is not installed"
)

NUMBERS = itertools.count(1)
BUSY = 5


@pytest.fixture(scope="module")
def bouncer(postgres_server: PrivatePostgres) -> Iterator[PrivatePgBouncer]:
    """Two connections to PostgreSQL for everything that the tests open to it."""
    bouncer = PrivatePgBouncer(postgres_server)
    bouncer.start()
    yield bouncer
    bouncer.stop()


@pytest.fixture
def database(postgres_server: PrivatePostgres, bouncer: PrivatePgBouncer) -> Iterator[Database]:
    settings = bouncer.settings(postgres_server.create_migrated_database(), max_connections=8)
    database = Database(settings, Passwords(PASSWORD), "test")
    yield database
    database.close()


def rows(count: int) -> list[AuditRow]:
    return [_row(next(NUMBERS)) for _ in range(count)]


def _row(number: int) -> AuditRow:
    now = datetime.now(UTC)
    return AuditRow(
        event_id=str(UUID(int=number)), correlation_id=str(UUID(int=secrets.randbits(128))), event_timestamp=now,
        hostname="rtr-1", message="link down", source="syslog", syslog_severity=3, trap_oid=None, rule_id=7,
        team_assignment="NETO", handling="Log_only", attributes=None, ingestion_timestamp=now, content_hash=number,
    )  # fmt: skip


def test_greenlets_that_outnumber_its_connections_write_each_event_once(database: Database) -> None:
    """The way of a batch with duplicates has a temporary table, which must not meet another one's."""
    first = rows(100)
    assert {verdict.fate for verdict in audit.write(database, first)} == {Fate.INSERTED}
    batches = [[*rows(10), *first[10 * n : 10 * n + 10]] for n in range(10)]

    writers = [spawn(audit.write, database, batch) for batch in batches]
    joinall(writers, raise_error=True)

    expected = [Fate.INSERTED] * 10 + [Fate.REDELIVERED] * 10
    assert all([verdict.fate for verdict in writer.value] == expected for writer in writers)
    assert database.run(_count) == 200
    backends = {database.run(_backend) for _ in range(20)}
    assert len(backends) <= 2


def test_rules_are_read_of_one_moment_and_changed_under_their_lock(database: Database) -> None:
    before, hosts, _ = rules.load(database)

    def change(connection: Connection) -> None:
        with connection.cursor() as cursor:
            rules.lock_all(cursor)
            rules.insert(cursor, [rules.every(cursor)[0].values])

    database.run(change)

    assert len(rules.load(database)[0]) == len(before) + 1
    assert rules.load(database)[1] == hosts


def test_an_empty_database_is_migrated_and_verified(
    postgres_server: PrivatePostgres, bouncer: PrivatePgBouncer
) -> None:
    name = postgres_server.create_database()
    with closing(psycopg2.connect(bouncer.dsn(name))) as connection:
        assert migrations.migrate(connection, report=lambda _sentence: None)
        migrations.verify(connection)


def test_upkeep_makes_partitions_and_is_alone_at_it(
    postgres_server: PrivatePostgres, bouncer: PrivatePgBouncer, redis_server: PrivateRedis, tmp_path: Path
) -> None:
    site = Site(postgres_server, redis_server, tmp_path)
    site.environ |= {"DB_PORT": str(bouncer.port), "RETENTION_PRECREATE_MONTHS": "5"}
    before = site.partitions("event_audit_log")

    site.upkeep("partitions")

    assert len(site.partitions("event_audit_log")) == len(before) + 2
    assert site.upkeep("partitions")["actions"] == []
    with closing(psycopg2.connect(site.dsn)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        assert "another upkeep" in site.upkeep("partitions", expect=BUSY)["talk"]


def test_a_postgresql_that_is_away_behind_it_is_an_outage_and_comes_back() -> None:
    """PgBouncer itself still answers then; a server of the test's own, for it is stopped."""
    server = PrivatePostgres()
    bouncer = PrivatePgBouncer(server, query_wait_timeout="2", server_login_retry="1")
    try:
        server.start()
        bouncer.start()
        settings = bouncer.settings(server.create_migrated_database())
        database = Database(settings, Passwords(PASSWORD), "test")
        database.ping()
        server.stop()
        with pytest.raises(OutageError):
            database.ping()
        server.start()
        assert _answers_again(database)
        database.close()
    finally:
        bouncer.stop()
        server.remove()


def test_it_refuses_mutt_unless_it_ignores_options(postgres_server: PrivatePostgres) -> None:
    """What docs/operations/pgbouncer.md tells to set."""
    bouncer = PrivatePgBouncer(postgres_server, ignore_startup_parameters="extra_float_digits")
    bouncer.start()
    database = Database(bouncer.settings("postgres"), Passwords(PASSWORD), "test", schema_check=False)
    try:
        with pytest.raises(OutageError, match="unsupported startup parameter"):
            database.ping()
    finally:
        database.close()
        bouncer.stop()


def test_the_role_brings_the_settings_that_options_would(
    postgres_server: PrivatePostgres, bouncer: PrivatePgBouncer
) -> None:
    """The statements of docs/operations/pgbouncer.md; options that are ignored have set nothing."""
    name = postgres_server.create_migrated_database()
    postgres_server.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    for setting, value in (("timezone", "UTC"), ("statement_timeout", "30s")):
        postgres_server.execute(f"ALTER ROLE {ROLE} IN DATABASE {name} SET {setting} = '{value}'")
    database = Database(bouncer.settings(name), Passwords(PASSWORD), "test", statement_timeout_seconds=7)

    assert database.run(_standing) == ("UTC", "30s")
    database.close()
    straight = Database(postgres_server.settings(name), Passwords(PASSWORD), "test", statement_timeout_seconds=0)
    assert straight.run(_standing) == ("UTC", "0")
    straight.close()


def _standing(connection: Connection) -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('timezone'), current_setting('statement_timeout')")
        ((timezone, statement_timeout),) = cursor
        return timezone, statement_timeout


def _answers_again(database: Database) -> bool:
    def attempt() -> bool:
        try:
            database.ping()
        except OutageError:
            return False
        return True

    wait_until(attempt, "PostgreSQL to be reached again", seconds=20)
    return True


def _count(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_audit_log")
        ((number,),) = cursor
        return int(number)


def _backend(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((number,),) = cursor
        return int(number)
