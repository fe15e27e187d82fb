"""Reads the audit log of events."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from psycopg2.errors import QueryCanceled

from mutt.errors import MuttError
from mutt.store.changes import Cursor
from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database
from mutt.store.reading import Row, rows_of

COUNTED = 10_000
"""As many events are counted; beyond that PostgreSQL's reckoning has to do."""

PAGE_TIMEOUT_MS = 10_000
COUNT_TIMEOUT_MS = 2_000

T = TypeVar("T")


class SlowReadError(MuttError):
    """No index serves the conditions and too many events would have to be read."""


class EventConditions(NamedTuple):
    """Which events; a condition that is None does not take part. ``end`` itself is not included."""

    hostname: str | None = None
    hostname_prefix: str | None = None
    rule_id: int | None = None
    unmatched: bool = False
    start: datetime | None = None
    end: datetime | None = None
    handling: str | None = None
    team: str | None = None
    source: str | None = None
    q: str | None = None
    """Text within the message, in whatever case."""


class Found(NamedTuple):
    """One page of events, newest first, and how many there are in all."""

    rows: list[Row]
    total: int
    total_is_estimate: bool


def page(database: Database, conditions: EventConditions, limit: int, offset: int) -> Found:
    """Events by their own time, newest first, then by id. Raises SlowReadError and OutageError."""
    values = {**conditions._asdict(), "limit": limit, "offset": offset}

    def work(connection: Connection) -> Found:
        with connection.cursor() as cursor:
            with _in_time(connection):
                cursor.execute(_newest_first(), values)
            rows = rows_of(cursor)
            if len(rows) < limit and (rows or offset == 0):
                return Found(rows, offset + len(rows), False)
            return Found(rows, *_total(cursor, values))

    return database.run(work)


def latest(database: Database, most: int) -> list[Row]:
    """The newest events by their own time, newest first. Raises OutageError."""

    def work(connection: Connection) -> list[Row]:
        with connection.cursor() as cursor, _in_time(connection):
            cursor.execute(_newest_first(), {**EventConditions()._asdict(), "limit": most, "offset": 0})
            return rows_of(cursor)

    return database.run(work)


def export(
    database: Database, conditions: EventConditions, most: int, take: Callable[[Iterator[tuple[Any, ...]]], T]
) -> T:
    """What ``take`` makes of the newest ``most`` events, which come bit by bit, in the columns of a page.

    ``take`` runs in a native thread, a second time when the connection broke. Raises SlowReadError and OutageError.
    """
    values = {**conditions._asdict(), "limit": most, "offset": 0}

    def work(connection: Connection) -> T:
        with _in_time(connection), connection.cursor("exported_events") as cursor:
            cursor.execute(_newest_first(), values)
            return take(iter(cursor))

    return database.run(work)


def _newest_first() -> str:
    return f"{query('matching_events')}\n{query('newest_events_first')}"


@contextmanager
def _in_time(connection: Connection) -> Iterator[None]:
    """Each statement within has ten seconds. Raises SlowReadError."""
    with connection.cursor() as cursor:
        _limit_time(cursor, PAGE_TIMEOUT_MS)
    try:
        yield
    except QueryCanceled as error:
        raise SlowReadError(f"it took longer than {PAGE_TIMEOUT_MS // 1000} s to find these events") from error


def _total(cursor: Cursor, values: dict[str, Any]) -> tuple[int, bool]:
    """How many events there are and whether that is an estimate."""
    matching = query("matching_events")
    cursor.execute("SAVEPOINT counting")
    try:
        _limit_time(cursor, COUNT_TIMEOUT_MS)
        cursor.execute(f"SELECT count(*) FROM ({matching} LIMIT {COUNTED + 1}) AS counted", values)  # noqa: S608 - a name
        ((counted,),) = cursor
    except QueryCanceled:
        cursor.execute("ROLLBACK TO SAVEPOINT counting")
        counted = COUNTED + 1
    if counted <= COUNTED:
        return counted, False
    cursor.execute(f"EXPLAIN (FORMAT JSON) {matching}", values)
    ((plan,),) = cursor
    return max(int(plan[0]["Plan"]["Plan Rows"]), values["offset"] + values["limit"], counted), True


def _limit_time(cursor: Cursor, milliseconds: int) -> None:
    """Statements of this transaction end after so long."""
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(milliseconds),))
