"""Reads the audit log for backtests: a batch of events at a time, from the newest back."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeAlias

from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database

AuditedEvent: TypeAlias = tuple[datetime, int, str, str, str, int | None, str | None]
"""event_timestamp, id, correlation_id, hostname, message, syslog_severity, trap_oid; a plain tuple as there may be
a million of them."""


def count(database: Database, start: datetime, end: datetime, most: int) -> int:
    """How many events there are from ``start`` on and before ``end``, counted up to ``most``. Raises OutageError."""

    def work(connection: Connection) -> int:
        with connection.cursor() as cursor:
            cursor.execute(query("count_audited_events"), {"start": start, "end": end, "most": most})
            (number,) = cursor.fetchone() or (0,)
            return int(number)

    return database.run(work)


def batches(
    database: Database, start: datetime, end: datetime, most: int, batch_size: int
) -> Iterator[list[AuditedEvent]]:
    """The newest ``most`` events from ``start`` on and before ``end``, newest first. Raises OutageError.

    Each batch is a transaction of its own, so that none lasts long and none sits idle while its events are judged;
    what is written meanwhile is newer than what was read and does not shift it.
    """
    before, before_id = end, 0
    while most > 0:
        batch = _batch(database, start, before, before_id, min(batch_size, most))
        if batch:
            yield batch
        if len(batch) < batch_size:
            return
        most -= len(batch)
        before, before_id = batch[-1][:2]


def _batch(database: Database, start: datetime, before: datetime, before_id: int, most: int) -> list[AuditedEvent]:
    def work(connection: Connection) -> list[AuditedEvent]:
        with connection.cursor() as cursor:
            cursor.execute(
                query("audited_events"), {"start": start, "before": before, "before_id": before_id, "most": most}
            )
            return list(cursor.fetchall())

    return database.run(work)
