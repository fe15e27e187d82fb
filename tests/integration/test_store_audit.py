"""The audit log: every event once, whatever is in it, however often it comes and whatever breaks on the way."""

import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from gevent import joinall, spawn
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.errors import OutageError, UnknownOutcomeError
from mutt.store import audit
from mutt.store.audit import AuditRow, Fate
from mutt.store.copying import copy_text
from mutt.store.pool import Database
from tests.support.postgres import PASSWORD, Passwords, PrivatePostgres, open_database
from tests.support.proxy import TcpProxy

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def database(postgres_server: PrivatePostgres) -> Iterator[Database]:
    """The rows of all tests of this module come together in it, as they do in the real one."""
    with open_database(postgres_server) as database:
        yield database


def row(**changes: Any) -> AuditRow:
    """A row unlike all others, but for the changes."""
    number = next(NUMBERS)
    now = datetime.now(UTC)
    ordinary = AuditRow(
        event_id=str(UUID(int=number)), correlation_id=str(UUID(int=secrets.randbits(128))), event_timestamp=now,
        hostname="rtr-1", message="link down", source="syslog", syslog_severity=3, trap_oid=None, rule_id=7,
        team_assignment="NETO", handling="Log_only", attributes=None, ingestion_timestamp=now, content_hash=number,
    )  # fmt: skip
    return ordinary._replace(**changes)


def rows(count: int, **changes: Any) -> list[AuditRow]:
    return [row(**changes) for _ in range(count)]


def fates(database: Database, batch: list[AuditRow]) -> list[Fate]:
    return [verdict.fate for verdict in audit.write(database, batch)]


def stored(database: Database, written: AuditRow) -> AuditRow:
    """The row as PostgreSQL has it."""
    columns = ", ".join(f"{name}::text" if name.endswith("_id") else name for name in AuditRow._fields)
    columns = columns.replace("rule_id::text", "rule_id")
    statement = f"SELECT {columns} FROM event_audit_log WHERE correlation_id = %s"  # noqa: S608 - our columns

    def fetch(connection: Any) -> AuditRow:
        with connection.cursor() as cursor:
            cursor.execute(statement, (written.correlation_id,))
            ((*values,),) = cursor
        return AuditRow(*values)

    return database.run(fetch)


def count(database: Database, batch: list[AuditRow]) -> int:
    """How many rows the audit log has of these events."""

    def fetch(connection: Any) -> int:
        with connection.cursor() as cursor:
            ids = [written.correlation_id for written in batch]
            cursor.execute("SELECT count(*) FROM event_audit_log WHERE correlation_id = ANY(%s::uuid[])", (ids,))
            return int(cursor.fetchone()[0])

    return database.run(fetch)


# --- what is written is what is stored ------------------------------------------------------------------------


NASTY = [
    "tab\there", "new\nline", "carriage\rreturn", "\r\n", "back\\slash", "\\N", "\\.", "\n\\.\n", "\\t is no tab",
    "\\\\", "ends with \\", "", " ", "'; DROP TABLE event_audit_log; --", "\x01\x08\x0b\x0c\x1b[31m",
    "naïve 漢字 🔥 👩‍👩‍👧",
    "\u2028\u2029\x85", "%s %% {0}", "x" * 65536,
]  # fmt: skip


def test_nasty_text_comes_back_as_it_went(database: Database) -> None:
    batch = [row(message=text, hostname=text[:200] or "h", source=text, team_assignment=text) for text in NASTY]

    assert set(fates(database, batch)) == {Fate.INSERTED}

    assert [stored(database, written) for written in batch] == batch


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=20))
def test_any_text_comes_back_as_it_went(database: Database, texts: list[str]) -> None:
    batch = [row(message=text, source=text) for text in texts]

    assert set(fates(database, batch)) == {Fate.INSERTED}

    assert [stored(database, written).message for written in batch] == texts
    assert [stored(database, written).source for written in batch] == texts


def test_nothing_where_there_is_nothing_and_times_to_the_microsecond(database: Database) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    empty = row(
        source=None, syslog_severity=None, trap_oid=None, rule_id=None, team_assignment=None, attributes=None,
        content_hash=-(2**63), event_timestamp=datetime(2026, 1, 31, 23, 59, 59, 999999, india),
    )  # fmt: skip
    full = row(
        trap_oid="1.3.6.1", syslog_severity=0, content_hash=2**63 - 1, event_timestamp=datetime(1987, 6, 5, tzinfo=UTC)
    )

    audit.write(database, [empty, full])

    assert stored(database, empty) == empty
    assert stored(database, full) == full


def test_other_fields_travel_as_json(database: Database) -> None:
    fields = {"vendor": "a\\b\tc\n", "nested": {"n": [1, None, True]}, "quote": '"', "flame": "🔥"}
    written = row(attributes=json.dumps(fields))

    audit.write(database, [written])

    assert stored(database, written).attributes == fields


def test_no_rows_need_no_database(postgres_server: PrivatePostgres) -> None:
    with open_database(postgres_server, "does_not_exist") as database:
        assert audit.write(database, []) == []


def test_the_copy_format_is_what_postgresql_documents() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 600, UTC)

    assert copy_text([("a\tb", None, 1, when), ("\\", "x", 2, when)]) == (
        b"a\\tb\t\\N\t1\t2026-01-02T03:04:05.000600Z\n\\\\\tx\t2\t2026-01-02T03:04:05.000600Z\n"
    )


# --- the same event again -------------------------------------------------------------------------------------


def test_a_redelivered_batch_meets_its_own_rows(database: Database) -> None:
    batch = rows(50)

    assert fates(database, batch) == [Fate.INSERTED] * 50
    assert fates(database, batch) == [Fate.REDELIVERED] * 50
    assert count(database, batch) == 50


def test_an_event_that_the_source_sends_again_is_told_from_a_redelivery(database: Database) -> None:
    first = row()
    again = first._replace(event_id=row().event_id, ingestion_timestamp=datetime.now(UTC))
    audit.write(database, [first])

    assert fates(database, [again]) == [Fate.RESUBMITTED]
    assert fates(database, [first]) == [Fate.REDELIVERED]
    assert stored(database, first) == first


def test_another_time_or_another_content_is_another_event(database: Database) -> None:
    first = row()
    later = first._replace(event_id=row().event_id, event_timestamp=first.event_timestamp + timedelta(microseconds=1))
    different = first._replace(event_id=row().event_id, content_hash=-1)
    audit.write(database, [first])

    assert fates(database, [later, different]) == [Fate.INSERTED, Fate.INSERTED]


def test_each_row_of_a_mixed_batch_gets_its_own_verdict_in_order(database: Database) -> None:
    delivered, submitted, fresh, twice = rows(4)
    audit.write(database, [delivered, submitted])
    batch = [
        fresh,
        delivered,
        twice,
        submitted._replace(event_id=row().event_id),
        twice,
        twice._replace(event_id=row().event_id),
        row(event_timestamp=datetime(1999, 1, 1, tzinfo=UTC)),
    ]

    assert fates(database, batch) == [
        Fate.INSERTED,
        Fate.REDELIVERED,
        Fate.INSERTED,
        Fate.RESUBMITTED,
        Fate.REDELIVERED,
        Fate.RESUBMITTED,
        Fate.INSERTED,
    ]
    assert count(database, batch) == 5
    assert stored(database, twice) == twice


def test_what_lies_in_the_default_partition_is_recognised_too(database: Database) -> None:
    old = row(event_timestamp=datetime(1999, 1, 1, tzinfo=UTC))

    assert fates(database, [old]) == [Fate.INSERTED]
    assert fates(database, [old, row()]) == [Fate.REDELIVERED, Fate.INSERTED]


def test_lanes_that_write_the_same_events_insert_each_once(database: Database) -> None:
    batch = rows(200)

    lanes = [spawn(fates, database, batch) for _ in range(4)]
    joinall(lanes, raise_error=True)

    for verdicts in zip(*(lane.get() for lane in lanes), strict=True):
        assert sorted(verdicts) == [Fate.INSERTED, *[Fate.REDELIVERED] * 3]
    assert count(database, batch) == 200


def test_a_redelivery_is_looked_up_by_index_and_not_by_reading_the_log(database: Database) -> None:
    plan = database.run(_plan_of_the_comparison)

    assert "Seq Scan on event_audit_log" not in plan
    assert "_pkey" in plan


def _plan_of_the_comparison(connection: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(audit.query("create_incoming_audit_rows"))
        cursor.execute("ANALYZE incoming_audit_rows")
        # Small tables are read whole, rightly; the log is small here only.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + audit.query("owners_of_incoming_audit_rows"))
        return "\n".join(line for (line,) in cursor)


# --- rows that cannot be stored -------------------------------------------------------------------------------


POISON = {
    "a text that is no UUID": {"correlation_id": "not-a-uuid"},
    "NUL": {"message": "a\0b"},
    "NUL beside what must be escaped": {"message": "a\0b\tc"},
    "a lone surrogate": {"message": "a\ud800b"},
    "NUL inside JSON": {"attributes": '{"a": "\\u0000"}'},
    "no JSON": {"attributes": "{"},
    "a number too large for its column": {"syslog_severity": 99999},
    "a hash of more than 64 bits": {"content_hash": 2**63},
    "a host name that no index can hold": {"hostname": "".join(secrets.token_hex(4000))},
    "no time": {"event_timestamp": None},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_only_the_guilty_row_is_refused_with_its_reason(database: Database, poison: dict[str, Any]) -> None:
    batch = rows(9)
    batch.insert(4, row(**poison))

    verdicts = audit.write(database, batch)

    assert [verdict.fate for verdict in verdicts] == [*[Fate.INSERTED] * 4, Fate.REFUSED, *[Fate.INSERTED] * 5]
    assert verdicts[4].detail
    assert all(verdict.detail == "" for verdict in verdicts if verdict.fate is not Fate.REFUSED)
    good = batch[:4] + batch[5:]
    assert count(database, good) == 9


def test_many_guilty_rows_among_redelivered_ones(database: Database) -> None:
    known = rows(20)
    audit.write(database, known)
    bad = rows(3, attributes="nonsense")
    batch = [bad[0], *known, bad[1], *rows(20), bad[2]]

    assert fates(database, batch) == [
        Fate.REFUSED, *[Fate.REDELIVERED] * 20, Fate.REFUSED, *[Fate.INSERTED] * 20, Fate.REFUSED,
    ]  # fmt: skip


def test_the_reason_is_what_postgresql_says(database: Database) -> None:
    (verdict,) = audit.write(database, [row(syslog_severity=99999)])

    assert verdict.detail == 'value "99999" is out of range for type smallint'


# --- PostgreSQL away ------------------------------------------------------------------------------------------


def test_an_outage_refuses_nothing_and_the_same_database_recovers(postgres_server: PrivatePostgres) -> None:
    batch = rows(3)
    with open_database(postgres_server) as database:
        audit.write(database, rows(1))
        postgres_server.stop()
        try:
            with pytest.raises(OutageError):
                audit.write(database, batch)
        finally:
            postgres_server.start()

        assert fates(database, batch) == [Fate.INSERTED] * 3


def test_a_commit_whose_answer_was_lost_is_recognised_the_next_time(
    database: Database, postgres_server: PrivatePostgres
) -> None:
    batch = rows(3)
    with TcpProxy(postgres_server.port) as proxy:
        through_proxy = replace(postgres_server.settings(database_name(database)), port=proxy.port)
        unlucky = Database(through_proxy, Passwords(PASSWORD), "test")
        unlucky.ping()
        proxy.drop_next_reply(b"COMMIT")

        with pytest.raises(UnknownOutcomeError):
            audit.write(unlucky, batch)

        assert fates(unlucky, [*batch, row()]) == [*[Fate.REDELIVERED] * 3, Fate.INSERTED]
        unlucky.close()
    assert count(database, batch) == 3


@pytest.mark.parametrize("lost", [b"BEGIN", b"COPY event_audit_log", b"link down"])
def test_a_connection_lost_before_the_commit_is_replaced_once_and_has_written_nothing(
    database: Database, postgres_server: PrivatePostgres, lost: bytes
) -> None:
    batch = rows(3)
    with TcpProxy(postgres_server.port) as proxy:
        through_proxy = replace(postgres_server.settings(database_name(database)), port=proxy.port)
        unlucky = Database(through_proxy, Passwords(PASSWORD), "test")
        unlucky.ping()

        proxy.drop_next_reply(lost, count=2)
        with pytest.raises(OutageError, match="PostgreSQL went away"):
            audit.write(unlucky, batch)

        proxy.drop_next_reply(lost)
        assert fates(unlucky, batch) == [Fate.INSERTED] * 3
        unlucky.close()


def database_name(database: Database) -> str:
    return database.run(lambda connection: connection.info.dbname)
