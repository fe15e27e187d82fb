"""The event audit: which events came, and what was decided about them."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from mutt.admin.services.times import interval
from mutt.admin.shapes.events import AuditedEvent, EventConditions, EventFilter, EventPage
from mutt.errors import Reason, RequestError
from mutt.events.admit import storable
from mutt.store import events
from mutt.store.events import SlowReadError
from mutt.store.pool import Database

DEEPEST = 100_000
"""As many events can be paged through; PostgreSQL reads all that lie in front of a page."""

MOST_EXPORTED = 50_000
MOST_EXPORTED_CHARACTERS = 64 * 1024 * 1024

COLUMNS = AuditedEvent.__struct_fields__

NO_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so."""


class EventAudit:
    """Reads the audit log of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, most: int) -> list[AuditedEvent]:
        """The newest events, newest first. Raises OutageError."""
        try:
            return [AuditedEvent(**row) for row in events.latest(self._database, most)]
        except SlowReadError as error:
            raise _too_many(error) from error

    def list(self, wanted: EventFilter, default_limit: int) -> EventPage:
        """Events by their own time, newest first. Raises RequestError (400, 422) and OutageError."""
        limit = wanted.limit or default_limit
        if wanted.page * limit > DEEPEST:
            sentence = f"page: only the newest {DEEPEST:,} events can be paged through; narrow start_date and end_date"
            raise RequestError(Reason.INVALID_FIELD, 400, sentence, field="page")
        try:
            found = events.page(self._database, _conditions(wanted), limit, (wanted.page - 1) * limit)
        except SlowReadError as error:
            raise _too_many(error) from error
        logs = [AuditedEvent(**row) for row in found.rows]
        return EventPage(
            logs=logs, total=found.total, total_is_estimate=found.total_is_estimate, page=wanted.page, limit=limit
        )

    def csv(self, wanted: EventConditions) -> bytes:
        """The newest 50,000 of the events (and at most 64 MiB of them) as CSV with a line of names, UTF-8.

        Raises RequestError (400, 422) and OutageError.
        """
        try:
            return events.export(self._database, _conditions(wanted), MOST_EXPORTED, _written)
        except SlowReadError as error:
            raise _too_many(error) from error


def _conditions(wanted: EventConditions) -> events.EventConditions:
    """Conditions that are empty, as forms send them, do not take part."""
    host = storable(wanted.hostname or "").strip()
    start, end = interval(wanted.start_date, wanted.end_date)
    rule = (wanted.rule_id or "").strip()
    return events.EventConditions(
        hostname=host if host and not host.endswith("*") else None,
        hostname_prefix=host[:-1] or None if host.endswith("*") else None,
        rule_id=int(rule) if rule.isdecimal() else None,
        unmatched=rule == "none",
        start=start,
        end=end,
        handling=storable(wanted.handling or "") or None,
        team=storable(wanted.team or "") or None,
        source=storable(wanted.source or "") or None,
        q=storable(wanted.q or "") or None,
    )


def _too_many(error: SlowReadError) -> RequestError:
    return RequestError(
        Reason.INVALID_FIELD, 422, f"{error}: narrow start_date and end_date, or name a hostname", field="start_date"
    )


def _written(rows: Iterator[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        if text.tell() > MOST_EXPORTED_CHARACTERS:
            break
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        value = msgspec.json.encode(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(NO_FORMULA) else value
