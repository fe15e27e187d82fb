"""Writes the audit log: one row for every event, whatever happens on the way and however often it is written."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from psycopg2.errors import UniqueViolation

from mutt.errors import DataError, OutageError, Reason
from mutt.store.connections import Connection
from mutt.store.copying import copy_rows
from mutt.store.named import query
from mutt.store.pool import Database


class AuditRow(NamedTuple):
    """An event and what was decided about it; one row of ``event_audit_log``."""

    event_id: str
    correlation_id: str
    event_timestamp: datetime
    hostname: str
    message: str
    source: str | None
    syslog_severity: int | None
    trap_oid: str | None
    rule_id: int | None
    team_assignment: str | None
    handling: str
    attributes: str | None
    """The event's other fields, as JSON text."""
    ingestion_timestamp: datetime
    content_hash: int
    """64 bit, signed."""


class Fate(StrEnum):
    """What became of a row that was to be written."""

    INSERTED = "inserted"
    REDELIVERED = "redelivered"
    """It was there already: the queue has handed out the same event again."""
    RESUBMITTED = "resubmitted"
    """Its place is taken by an event that the source had sent before."""
    REFUSED = "refused"
    """PostgreSQL cannot store it and never will."""


class Verdict(NamedTuple):
    """The fate of one row; ``detail`` is PostgreSQL's sentence when it was refused, else empty."""

    fate: Fate
    detail: str = ""


INSERTED, REDELIVERED, RESUBMITTED = map(Verdict, (Fate.INSERTED, Fate.REDELIVERED, Fate.RESUBMITTED))


def write(database: Database, rows: Sequence[AuditRow]) -> list[Verdict]:
    """One verdict for each row, in their order, when all that could be stored is committed.

    Raises OutageError when PostgreSQL went away. Then any part of the rows may be there; writing them again
    answers REDELIVERED for those.
    """
    if not rows:
        return []
    try:
        return database.run(lambda connection: _write(connection, rows))
    except DataError as error:
        if len(rows) == 1:
            return [Verdict(Fate.REFUSED, str(error))]
    # One row has spoiled the batch: halve it until that row is alone and the others are stored.
    middle = len(rows) // 2
    return write(database, rows[:middle]) + write(database, rows[middle:])


def _write(connection: Connection, rows: Sequence[AuditRow]) -> list[Verdict]:
    try:
        copy_rows(connection, query("copy_audit_rows"), rows)
    except UniqueViolation:
        # Rare, and dear only then: COPY cannot skip a row, so the batch takes the longer way.
        connection.rollback()
        return _write_what_is_missing(connection, rows)
    return [INSERTED] * len(rows)


def _write_what_is_missing(connection: Connection, rows: Sequence[AuditRow]) -> list[Verdict]:
    numbered = [(position, *row) for position, row in enumerate(rows)]
    with connection.cursor() as cursor:
        cursor.execute(query("create_incoming_audit_rows"))
        copy_rows(connection, query("copy_incoming_audit_rows"), numbered)
        cursor.execute(query("insert_incoming_audit_rows"))
        inserted = {row_id for (row_id,) in cursor}
        cursor.execute(query("owners_of_incoming_audit_rows"))
        return [_verdict(inserted, owner, is_same_event) for owner, is_same_event in cursor]


def _verdict(inserted: set[int], owner: int | None, is_same_event: bool | None) -> Verdict:
    """The verdict on a row whose place in the audit log ``owner`` has; takes from ``inserted`` what it has told of."""
    if owner is None:
        # Its month was archived and dropped between two statements: the next try finds the place free.
        raise OutageError(Reason.POSTGRES_UNREACHABLE, "an audit row was removed while it was compared; try again")
    if owner in inserted:
        inserted.remove(owner)
        return INSERTED
    return REDELIVERED if is_same_event else RESUBMITTED
