"""Reads the audit log."""

from typing import Any

from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database


def latest(database: Database, most: int) -> list[dict[str, Any]]:
    """The newest events by their own time, newest first, each by column name. Raises OutageError."""
    return database.run(lambda connection: _rows(connection, "latest_events", (most,)))


def _rows(connection: Connection, name: str, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query(name), parameters)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor]
