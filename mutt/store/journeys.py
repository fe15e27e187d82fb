"""Reads what PostgreSQL knows of everything that came under one correlation id."""

from typing import NamedTuple

from mutt.store.connections import Connection
from mutt.store.pool import Database
from mutt.store.reading import Row, fetch

MOST_EVENTS = 100
MOST_DELIVERIES = 2000


class Trace(NamedTuple):
    """Audit rows as they came, attempts as they were made, and by id the rules that decided, as they are now."""

    events: list[Row]
    deliveries: list[Row]
    rules: dict[int, Row]


def of(database: Database, correlation_id: str) -> Trace:
    """The trace of a UUID, at most 100 events and 2000 attempts. Raises OutageError."""

    def work(connection: Connection) -> Trace:
        with connection.cursor() as cursor:
            events = fetch(cursor, "events_of_correlation", {"correlation_id": correlation_id, "most": MOST_EVENTS})
            deliveries = fetch(
                cursor, "deliveries_of_correlation", {"correlation_id": correlation_id, "most": MOST_DELIVERIES}
            )
            ids = [row["rule_id"] for row in events if row["rule_id"] is not None]
            rules = fetch(cursor, "rules_of_ids", {"ids": ids}) if ids else []
        return Trace(events, deliveries, {row["id"]: row for row in rules})

    return database.run(work)
