"""Writes the configuration audit: who changed what, from which values to which, and why."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from mutt.events.admit import storable
from mutt.store.named import query

Cursor: TypeAlias = cursor
Operation = Literal["CREATE", "UPDATE", "DELETE"]
Status = Literal["applied", "pending"]
Values = Mapping[str, Any] | None

_ROW = "(%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, %s::uuid, %s)"


class ChangeAuthor(Protocol):
    """Whoever makes a change: ``mutt.admin.access.Author`` is one. The correlation id is a UUID."""

    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def correlation_id(self) -> str: ...


class Change(NamedTuple):
    """One change; ``old`` and ``new`` are the complete values before and after, None when there are none."""

    operation: Operation
    table_name: str
    record_id: str | None
    old: Values
    new: Values


def record(
    cursor: Cursor,
    author: ChangeAuthor,
    operation: Operation,
    table_name: str,
    record_id: str | None,
    old: Values,
    new: Values,
    status: Status = "applied",
) -> int:
    """Adds the row of one change to the transaction under way and returns its id.

    The values may hold times and enums; what PostgreSQL cannot store in a text is replaced by U+FFFD.
    """
    row = _row(author, Change(operation, table_name, record_id, old, new), status)
    names = ("changed_by", "operation", "table_name", "record_id", "old_values", "new_values", "reason",
             "correlation_id", "status")  # fmt: skip
    cursor.execute(query("insert_config_change"), dict(zip(names, row, strict=True)))
    ((change_id,),) = cursor
    return int(change_id)


def record_many(cursor: Cursor, author: ChangeAuthor, changes: list[Change]) -> None:
    """Adds a row for each change to the transaction under way, in a few statements."""
    if changes:
        rows = [_row(author, change, "applied") for change in changes]
        execute_values(cursor, query("insert_config_changes"), rows, _ROW, page_size=500)


def mark_applied(cursor: Cursor, change_id: int) -> None:
    """Marks a row that was recorded as pending. Marking it twice changes nothing."""
    cursor.execute(query("mark_config_change_applied"), (change_id,))


def _row(author: ChangeAuthor, change: Change, status: Status) -> tuple[Any, ...]:
    record_id = None if change.record_id is None else storable(change.record_id)
    reason = None if author.reason is None else storable(author.reason) or None
    return (
        author.name, change.operation, change.table_name, record_id, _json(change.old), _json(change.new), reason,
        author.correlation_id, status,
    )  # fmt: skip


def _json(values: Values) -> str | None:
    if values is None:
        return None
    return msgspec.json.encode(_storable(msgspec.to_builtins(dict(values)))).decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    return value
