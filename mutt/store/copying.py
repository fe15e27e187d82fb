"""Rows as the text format of COPY, built column by column: that costs a third of building them field by field."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import msgspec

from mutt.errors import DataError
from mutt.store.connections import Connection

NULL = "\\N"

CHUNK_BYTES = 1 << 20
"""How much psycopg2 takes from the buffer at once; its own 8 KiB means a call into Python for every dozen rows."""


def copy_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Sends the rows with a ``COPY ... FROM STDIN`` in text format. Raises what ``copy_text`` and psycopg2 raise."""
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, BytesIO(copy_text(rows)), CHUNK_BYTES)


def copy_text(rows: Sequence[tuple[Any, ...]]) -> bytes:
    """The rows, at least one, in the text format of COPY.

    A column holds str, int, float or datetime values of one type, and None. Raises DataError for text that no
    PostgreSQL can store: NUL and lone surrogates.
    """
    columns = [_column(values) for values in zip(*rows, strict=True)]
    lines = map("\t".join, zip(*columns, strict=True))
    try:
        return ("\n".join(lines) + "\n").encode()
    except UnicodeEncodeError as error:
        raise DataError("a text holds a lone surrogate, which PostgreSQL cannot store") from error


def _column(values: tuple[Any, ...]) -> Sequence[str]:
    if None not in values:
        return _texts(values)
    present = iter(_texts(tuple(value for value in values if value is not None)))
    return [NULL if value is None else next(present) for value in values]


def _texts(values: tuple[Any, ...]) -> Sequence[str]:
    if not values:
        return values
    if isinstance(values[0], str):
        return _escaped(values)
    if isinstance(values[0], datetime):
        # ["2026-01-31T23:59:59.5Z","..."]: msgspec writes in a twentieth of the time that str() takes for each.
        return msgspec.json.encode(values).decode()[2:-2].split('","')
    return [str(value) for value in values]


def _escaped(values: tuple[str, ...]) -> Sequence[str]:
    """The texts with everything escaped that means something to COPY. NUL parts them: it cannot be in a valid one."""
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        raise DataError("a text holds NUL, which PostgreSQL cannot store")
    if not any(special in joined for special in "\\\t\n\r"):
        return values
    escaped = joined.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return escaped.split("\0")
