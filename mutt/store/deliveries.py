"""Writes the delivery log: one row for every attempt to deliver an alert."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from mutt.store.copying import copy_rows
from mutt.store.named import query
from mutt.store.pool import Database


class DeliveryRow(NamedTuple):
    """One attempt; one row of ``alert_delivery_log``."""

    event_id: str
    correlation_id: str
    attempt: int
    """Counted from 1."""
    attempted_at: datetime
    outcome: str
    """delivered, retry or dead_letter."""
    status_code: int | None
    """HTTP status of the answer, when there was one."""
    reason: str | None
    latency_ms: float | None


def write(database: Database, rows: Sequence[DeliveryRow]) -> None:
    """Stores the attempts, all or none. Raises OutageError or DataError.

    There is no unique key: an attempt that is written twice after a lost answer is there twice.
    """
    if rows:
        database.run(lambda connection: copy_rows(connection, query("copy_delivery_rows"), rows))
