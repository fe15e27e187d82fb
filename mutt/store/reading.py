"""Reads rows of a named query by column name."""

from collections.abc import Mapping
from typing import Any

from mutt.store.changes import Cursor
from mutt.store.named import query

Row = dict[str, Any]


def fetch(cursor: Cursor, name: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[Row]:
    """All rows of the query ``name``."""
    cursor.execute(query(name), parameters or None)
    return rows_of(cursor)


def fetch_one(cursor: Cursor, name: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()) -> Row | None:
    """The first row of the query ``name``, or None."""
    return next(iter(fetch(cursor, name, parameters)), None)


def rows_of(cursor: Cursor) -> list[Row]:
    """The rows of what was executed last."""
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor]
