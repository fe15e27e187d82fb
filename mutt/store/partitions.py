"""The monthly partitions of the event audit and the delivery log: finding, filling, taking out and putting back.

The functions that change something run in the transaction of the caller, who bounds how long it may wait for a lock.
Names of tables are identifiers of psycopg2.sql; values are parameters.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple, Protocol

import msgspec
from psycopg2 import sql

from mutt.store.connections import Connection
from mutt.store.named import query

BUFFER_BYTES = 1 << 20


class Table(NamedTuple):
    """A partitioned table. One without a key may hold equal rows."""

    name: str
    time_column: str
    has_key: bool

    @property
    def fallback(self) -> str:
        """The default partition, which takes what no month has a partition for."""
        return f"{self.name}_default"

    def partition(self, month: datetime) -> str:
        return f"{self.name}_{month:%Y%m}"


EVENT_AUDIT = Table("event_audit_log", "event_timestamp", has_key=True)
DELIVERIES = Table("alert_delivery_log", "attempted_at", has_key=False)
TABLES = (EVENT_AUDIT, DELIVERIES)


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What upkeep notes in the comment of a table: ``detached`` from its parent, or ``restored`` from an archive."""

    mutt_upkeep: str
    table: str
    lower: datetime
    upper: datetime
    archive: str = ""


DETACHED, RESTORED = "detached", "restored"


class Partition(NamedTuple):
    """The rows of ``table`` from ``lower`` up to, not with, ``upper``; ``mark`` says what upkeep has done with it."""

    table: Table
    oid: int
    name: str
    lower: datetime
    upper: datetime
    mark: Mark | None = None


class Column(msgspec.Struct, frozen=True):
    """A column and its type as PostgreSQL writes it."""

    name: str
    type: str


class Sink(Protocol):
    """Where rows are copied to."""

    def write(self, data: bytes, /) -> object: ...


# --- looking ----------------------------------------------------------------------------------------------------


def partitions_of(connection: Connection, table: Table) -> list[Partition]:
    """The partitions of the table, oldest first, without the default one."""
    rows = _fetch(connection, query("partitions_of"), table.name)
    return [Partition(table, oid, name, lower, upper, _mark(comment)) for oid, name, lower, upper, comment in rows]


def detached_from(connection: Connection, table: Table) -> list[Partition]:
    """What ``detach`` took out of the table and nobody has dropped yet."""
    found = []
    for oid, name, comment in _fetch(connection, query("tables_with_a_mark"), table.name, '{"mutt_upkeep":%'):
        mark = _mark(comment)
        if mark and mark.mutt_upkeep == DETACHED and mark.table == table.name:
            found.append(Partition(table, oid, name, mark.lower, mark.upper, mark))
    return found


def columns_of(connection: Connection, table: str) -> list[Column]:
    """The columns of a table in their order."""
    return [Column(*row) for row in _fetch(connection, query("columns_of"), table)]


def exists(connection: Connection, table: str) -> bool:
    ((found,),) = _fetch(connection, "SELECT to_regclass(%s) IS NOT NULL", table)
    return bool(found)


def count_rows(connection: Connection, table: str) -> int:
    ((rows,),) = _fetch(connection, _statement("count_rows", table=table))
    return int(rows)


def months_in_default(connection: Connection, table: Table, since: datetime, until: datetime) -> dict[datetime, int]:
    """How many rows of each month the default partition holds; months outside the two times are left out."""
    statement = _statement("months_in_default_partition", fallback=table.fallback, time_column=table.time_column)
    return {month: rows for month, rows in _fetch(connection, statement, since, until) if rows}


def month_after(month: datetime) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


# --- filling ----------------------------------------------------------------------------------------------------


def next_cut(connection: Connection, table: Table, lower: datetime, upper: datetime, most_rows: int) -> datetime:
    """Where to cut a range so that the default partition has about ``most_rows`` before; ``upper`` if it has fewer.

    Rows of one instant cannot be parted, so they may be more.
    """
    names = {"fallback": table.fallback, "time_column": table.time_column}
    found = _fetch(connection, _statement("time_of_row_in_default_partition", **names), lower, upper, most_rows)
    cut: datetime = found[0][0] if found else upper
    if cut > lower:
        return cut
    ((later,),) = _fetch(connection, _statement("next_time_in_default_partition", **names), lower, upper)
    return later or upper


def make_partition(connection: Connection, table: Table, month: datetime) -> None:
    """Makes the partition of a month, with all that the default partition holds of it.

    Writers are kept out before the default partition is touched: one that was on its way there would fail.
    """
    _execute(connection, _statement("lock_writers_out", parent=table.name))
    _execute(connection, query("create_partition_of"), table.name, table.time_column, month)


def grow_partition(
    connection: Connection, table: Table, month: datetime, until: datetime, grown: Partition | None
) -> int:
    """Makes the partition of a month reach to ``until``, moves what it then covers, and returns how many rows.

    A partition that ends before its month does is a partition like any other: every row is seen all the time and the
    key holds for all, and what comes later in the month still goes to the default partition.
    """
    names = {"parent": table.name, "partition": table.partition(month), "fallback": table.fallback}
    _execute(connection, _statement("lock_partitioned_table", **names))
    if grown:
        _execute(connection, _statement("detach_partition", **names))
    else:
        _execute(connection, _statement("create_table_like", table=names["partition"], parent=table.name))
    move = _statement("move_out_of_default_partition", time_column=table.time_column, **names)
    moved = _execute(connection, move, grown.upper if grown else month, until)
    _execute(connection, _statement("attach_partition", **names), month, until)
    return moved


# --- taking out and putting back --------------------------------------------------------------------------------


def detach(connection: Connection, partition: Partition) -> None:
    """Makes a partition a table of its own, marked so that ``detached_from`` finds it."""
    restored_from = partition.mark.archive if partition.mark else ""
    mark = Mark(DETACHED, partition.table.name, partition.lower, partition.upper, restored_from)
    names = {"parent": partition.table.name, "partition": partition.name, "fallback": partition.table.fallback}
    _execute(connection, _statement("lock_partitioned_table", **names))
    _execute(connection, _statement("detach_partition", **names))
    set_mark(connection, partition.name, mark)


def set_mark(connection: Connection, table: str, mark: Mark) -> None:
    _execute(connection, _statement("comment_on_table", table=table), msgspec.json.encode(mark).decode())


def drop(connection: Connection, table: str) -> None:
    _execute(connection, _statement("drop_table", table=table))


def copy_out(connection: Connection, table: str, sink: Sink) -> None:
    """Writes every row to the sink as a line of JSON: times with microseconds in UTC, JSONB as it stands."""
    with connection.cursor() as cursor:
        cursor.copy_expert(_statement("copy_out_rows", table=table), sink)


def create_like(connection: Connection, table: Table, name: str) -> None:
    """An empty table like the partitioned one, and no part of it."""
    _execute(connection, _statement("create_table_like", table=name, parent=table.name))


def copy_in(connection: Connection, sources: Iterable[BinaryIO]) -> None:
    """Takes lines that ``copy_out`` wrote; ``insert_lines`` puts them into a table, in the same transaction."""
    _execute(connection, query("create_restored_lines"))
    with connection.cursor() as cursor:
        for source in sources:
            cursor.copy_expert(query("copy_restored_lines"), source, BUFFER_BYTES)


def insert_lines(
    connection: Connection, table: Table, target: str, columns: Iterable[str], lower: datetime, upper: datetime
) -> int:
    """Adds those rows to ``target`` that are not there yet and returns how many: doing it twice changes nothing."""
    names: dict[str, Any] = {"target": target, "parent": table.name, "time_column": table.time_column}
    names["columns"] = sql.SQL(", ").join(map(sql.Identifier, columns))
    if table.has_key:
        return _execute(connection, _statement("insert_restored_lines_by_key", **names))
    return _execute(connection, _statement("insert_restored_lines_by_value", **names), lower, upper)


def vacuum_default(connection: Connection, table: Table) -> None:
    """Frees what was moved out of the default partition. Needs a connection in autocommit mode."""
    _execute(connection, _statement("vacuum_default_partition", fallback=table.fallback))


# --- helpers ----------------------------------------------------------------------------------------------------


def _mark(comment: str | None) -> Mark | None:
    try:
        return msgspec.json.decode(comment, type=Mark) if comment else None
    except msgspec.MsgspecError:  # Somebody else's comment.
        return None


def _statement(name: str, **names: str | sql.Composable) -> sql.Composed:
    """The named statement with its identifiers put in."""
    quoted = {key: sql.Identifier(value) if isinstance(value, str) else value for key, value in names.items()}
    return sql.SQL(query(name)).format(**quoted)


def _fetch(connection: Connection, statement: str | sql.Composable, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor)


def _execute(connection: Connection, statement: str | sql.Composable, *values: object) -> int:
    """Runs a statement and returns how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return int(cursor.rowcount)
