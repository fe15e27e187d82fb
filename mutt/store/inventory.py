"""Development hosts and teams of devices: read, and changed together with the row of the audit that says so.

Host names are the same whatever their case; a name keeps the case it was added with. Functions that take a cursor work
within the transaction of the caller.
"""

from typing import Any, Literal

from mutt.store.changes import ChangeAuthor, Cursor, record
from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database
from mutt.store.reading import Row, fetch, fetch_one, rows_of

Inventory = Literal["development_hosts", "device_teams"]

_QUERY = {"development_hosts": "dev_host", "device_teams": "device_team"}


def page(database: Database, table: Inventory, q: str | None, limit: int, offset: int) -> tuple[list[Row], int]:
    """Entries by host name, and how many there are in all. Raises OutageError."""

    def work(connection: Connection) -> tuple[list[Row], int]:
        with connection.cursor() as cursor:
            rows = fetch(cursor, f"{_QUERY[table]}s_page", {"q": q, "limit": limit, "offset": offset})
            total = fetch(cursor, f"{_QUERY[table]}s_count", {"q": q})[0]["total"]
        return rows, total

    return database.run(work)


def named(cursor: Cursor, table: Inventory, hostnames: list[str], lock: bool = False) -> list[Row]:
    """The entries of these hosts; with ``lock`` nobody else changes them until the transaction ends."""
    statement = query(f"{_QUERY[table]}s_named")
    cursor.execute(f"{statement}\nFOR UPDATE" if lock else statement, {"hostnames": hostnames})
    return rows_of(cursor)


def add(cursor: Cursor, author: ChangeAuthor, table: Inventory, values: dict[str, Any]) -> tuple[Row, int] | None:
    """The new entry and the id of its audit row; None when the host has one."""
    row = fetch_one(cursor, f"insert_{_QUERY[table]}", values)
    return None if row is None else (row, record(cursor, author, "CREATE", table, row["hostname"], None, row))


def remove(cursor: Cursor, author: ChangeAuthor, table: Inventory, hostname: str) -> tuple[Row, int] | None:
    """The entry as it was and the id of its audit row; None when the host had none."""
    row = fetch_one(cursor, f"delete_{_QUERY[table]}", {"hostname": hostname})
    return None if row is None else (row, record(cursor, author, "DELETE", table, row["hostname"], row, None))


def change_team(cursor: Cursor, author: ChangeAuthor, hostname: str, team: str) -> tuple[Row, int] | None:
    """The entry as it is now and the id of its audit row; None when the device has no team."""
    old = next(iter(named(cursor, "device_teams", [hostname], lock=True)), None)
    if old is None:
        return None
    (row,) = fetch(cursor, "update_device_team", {"hostname": hostname, "team_assignment": team})
    return row, record(cursor, author, "UPDATE", "device_teams", row["hostname"], old, row)
