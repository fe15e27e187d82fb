"""Monthly partitions: made ahead, in UTC, and without losing what came before them."""

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime

import psycopg2
import pytest
from gevent import joinall, spawn
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812 - the name a type should have

from mutt.errors import OutageError
from mutt.store.pool import Database
from tests.support.postgres import PrivatePostgres, open_database


@pytest.fixture(scope="module")
def migrated_database(postgres_server: PrivatePostgres) -> str:
    return postgres_server.create_migrated_database()


@pytest.fixture
def connection(postgres_server: PrivatePostgres, migrated_database: str) -> Iterator[Connection]:
    """A database with the schema; what a test does in it is rolled back."""
    with closing(psycopg2.connect(postgres_server.dsn(migrated_database))) as connection:
        yield connection


def fetch(connection: Connection, statement: str, *values: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor)


def make_partition(connection: Connection, day: str) -> str:
    ((name,),) = fetch(connection, "SELECT create_monthly_partition(%s)", day)
    return str(name)


def insert_event(connection: Connection, timestamp: str) -> str:
    """Stores an event and returns the partition it went to."""
    statement = """
        INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, handling,
            ingestion_timestamp, content_hash)
        VALUES (gen_random_uuid(), gen_random_uuid(), %s, 'rtr-1', 'link down', 'Log_only', now(), 1)
        RETURNING tableoid::regclass::text
    """
    ((partition,),) = fetch(connection, statement, timestamp)
    return str(partition)


def insert_delivery(connection: Connection, timestamp: str) -> str:
    statement = """
        INSERT INTO alert_delivery_log (event_id, correlation_id, attempt, attempted_at, outcome)
        VALUES (gen_random_uuid(), gen_random_uuid(), 1, %s, 'delivered')
        RETURNING tableoid::regclass::text
    """
    ((partition,),) = fetch(connection, statement, timestamp)
    return str(partition)


def partitions(connection: Connection, table: str) -> list[str]:
    statement = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"
    return [str(name) for (name,) in fetch(connection, statement, table)]


def months_from(start: datetime, count: int) -> list[str]:
    return [f"{start.year + (start.month - 1 + i) // 12}{(start.month - 1 + i) % 12 + 1:02d}" for i in range(count)]


@pytest.mark.parametrize("table", ["event_audit_log", "alert_delivery_log"])
def test_this_month_and_three_more_are_there_from_the_start(connection: Connection, table: str) -> None:
    now = datetime.now(UTC)

    assert partitions(connection, table) == [*(f"{table}_{month}" for month in months_from(now, 4)), f"{table}_default"]
    assert insert_event(connection, now.isoformat()) == f"event_audit_log_{now:%Y%m}"
    assert insert_delivery(connection, now.isoformat()) == f"alert_delivery_log_{now:%Y%m}"


def test_an_event_of_any_time_finds_a_place(connection: Connection) -> None:
    for timestamp in ("1999-12-31T23:59:59Z", "2150-06-01T00:00:00Z"):
        assert insert_event(connection, timestamp) == "event_audit_log_default"
        assert insert_delivery(connection, timestamp) == "alert_delivery_log_default"


def test_making_a_partition_again_changes_nothing(connection: Connection) -> None:
    assert make_partition(connection, "2031-02-17") == "event_audit_log_203102"
    before = partitions(connection, "event_audit_log"), partitions(connection, "alert_delivery_log")

    assert make_partition(connection, "2031-02-01") == "event_audit_log_203102"
    assert make_partition(connection, "2031-02-28") == "event_audit_log_203102"

    assert (partitions(connection, "event_audit_log"), partitions(connection, "alert_delivery_log")) == before


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_month_is_a_month_in_utc_whatever_the_session_thinks(connection: Connection, zone: str) -> None:
    fetch(connection, "SELECT set_config('TimeZone', %s, false), set_config('DateStyle', 'SQL, DMY', false)", zone)
    make_partition(connection, "2031-12-01")

    assert insert_event(connection, "2031-12-01T00:00:00Z") == "event_audit_log_203112"
    assert insert_event(connection, "2031-12-31T23:59:59.999999Z") == "event_audit_log_203112"
    assert insert_event(connection, "2031-11-30T23:59:59.999999Z") == "event_audit_log_default"
    assert insert_event(connection, "2032-01-01T00:00:00Z") == "event_audit_log_default"


def test_rows_that_came_before_their_partition_move_into_it(connection: Connection) -> None:
    for timestamp in ("2031-04-30T23:59:59Z", "2031-05-01T00:00:00Z", "2031-05-31T23:59:59Z", "2031-06-01T00:00:00Z"):
        insert_event(connection, timestamp)
        insert_delivery(connection, timestamp)
    rows = "SELECT * FROM event_audit_log ORDER BY event_timestamp"
    before = fetch(connection, rows)

    make_partition(connection, "2031-05-15")

    where = "SELECT tableoid::regclass::text FROM {} ORDER BY {}"
    for table, column in (("event_audit_log", "event_timestamp"), ("alert_delivery_log", "attempted_at")):
        moved, fallback = (f"{table}_203105",), (f"{table}_default",)
        assert fetch(connection, where.format(table, column)) == [fallback, moved, moved, fallback]
    assert fetch(connection, rows) == before


def test_a_partition_has_the_indexes_of_its_table(connection: Connection) -> None:
    make_partition(connection, "2031-05-15")
    statement = """
        SELECT regexp_replace(indexdef, '^.* USING ', '') FROM pg_indexes WHERE tablename = %s ORDER BY 1
    """

    wanted = fetch(connection, statement, "event_audit_log")
    assert len(wanted) == 3
    assert fetch(connection, statement, "event_audit_log_203105") == wanted
    assert fetch(connection, statement, "alert_delivery_log_203105") == fetch(
        connection, statement, "alert_delivery_log"
    )


def test_a_detached_month_is_not_mistaken_for_a_partition(connection: Connection) -> None:
    make_partition(connection, "2031-05-15")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event_audit_log DETACH PARTITION event_audit_log_203105")

    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="event_audit_log_203105 exists but is no partition"):
        make_partition(connection, "2031-05-15")


def test_writers_and_several_makers_at_once_lose_nothing(postgres_server: PrivatePostgres) -> None:
    with open_database(postgres_server) as database:
        makers = [spawn(database.run, lambda other: make_partition(other, "2031-05-01")) for _ in range(3)]
        writers = [spawn(write_events, database, 40) for _ in range(3)]
        joinall([*makers, *writers], raise_error=True)

        assert {maker.get() for maker in makers} == {"event_audit_log_203105"}
        statement = "SELECT tableoid::regclass::text, count(*) FROM event_audit_log GROUP BY 1"
        assert database.run(lambda other: fetch(other, statement)) == [("event_audit_log_203105", 120)]


def write_events(database: Database, count: int) -> None:
    written = 0
    while written < count:
        # A row that was bound for the default partition when its month got one of its own is an outage of a moment.
        with suppress(OutageError):
            database.run(lambda connection: insert_event(connection, "2031-05-15T12:00:00Z"))
            written += 1
