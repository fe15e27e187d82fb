"""Reads the configuration audit, and how what it tells of is now."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, cast

from mutt.store import inventory
from mutt.store.changes import Cursor
from mutt.store.connections import Connection
from mutt.store.inventory import Inventory
from mutt.store.named import query
from mutt.store.pool import Database
from mutt.store.reading import Row, fetch, rows_of

Record = tuple[str, str]
"""(table name, record id)."""


class ChangeConditions(NamedTuple):
    """Which changes; a condition that is None does not take part. ``end`` itself is not included."""

    id: int | None = None
    table_name: str | None = None
    operation: str | None = None
    changed_by: str | None = None
    record_id: str | None = None
    correlation_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def page(database: Database, conditions: ChangeConditions, limit: int, offset: int) -> tuple[list[Row], int]:
    """Changes, newest first, and how many there are in all. Raises OutageError."""
    values = {**conditions._asdict(), "limit": limit, "offset": offset}
    matching = query("matching_config_changes")

    def work(connection: Connection) -> tuple[list[Row], int]:
        with connection.cursor() as cursor:
            cursor.execute(f"{matching}\n{query('newest_config_changes_first')}", values)
            rows = rows_of(cursor)
            cursor.execute(f"SELECT count(*) FROM ({matching}) AS counted", values)  # noqa: S608 - a named query
            ((total,),) = cursor
        return rows, total

    return database.run(work)


def states(database: Database, records: Iterable[Record]) -> dict[Record, Row]:
    """The records that exist, as they are now: rules by id, hosts and teams by host name. Raises OutageError."""
    wanted: dict[str, list[str]] = {}
    for table, record_id in records:
        wanted.setdefault(table, []).append(record_id)

    def work(connection: Connection) -> dict[Record, Row]:
        with connection.cursor() as cursor:
            return {
                (table, record_id): row
                for table, record_ids in wanted.items()
                for record_id, row in _states(cursor, table, record_ids).items()
            }

    return database.run(work)


def _states(cursor: Cursor, table: str, record_ids: list[str]) -> dict[str, Row]:
    if table == "alert_rules":
        ids = [int(each) for each in record_ids if each.isdecimal()]
        return {str(row["id"]): row for row in fetch(cursor, "rules_of_ids", {"ids": ids})}
    if table in ("development_hosts", "device_teams"):
        entries = inventory.named(cursor, cast(Inventory, table), record_ids)
        by_name = {row["hostname"].lower(): row for row in entries}
        return {each: by_name[each.lower()] for each in record_ids if each.lower() in by_name}
    return {}
