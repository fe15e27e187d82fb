"""Audit rows and delivery rows as the workers write them, for tests of what reads them."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from mutt.events import event
from mutt.events.event import Event
from mutt.rules.rule import Handling
from tests.support.web_ui import WebUIUnderTest

BEGIN = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def an_event(message: str = "Interface Gi0/1 down", **fields: Any) -> Event:
    """An event as ingest queues it, with ids of its own."""
    number = next(_numbers)
    return Event(
        **{
            "event_id": str(uuid.UUID(int=1_000_000 + number)),
            "correlation_id": str(uuid.UUID(int=2_000_000 + number)),
            "timestamp": BEGIN,
            "ingestion_timestamp": BEGIN + timedelta(seconds=1),
            "hostname": "router1",
            "message": message,
            "source": "syslog",
            "syslog_severity": 3,
            **fields,
        }
    )


def audit(
    web_ui: WebUIUnderTest,
    item: Event,
    rule_id: int | None = None,
    team: str | None = None,
    handling: Handling = Handling.LOG_ONLY,
    created_at: datetime | None = None,
) -> None:
    """The audit row of the event."""
    web_ui.query(
        "INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, source, "
        "syslog_severity, trap_oid, rule_id, team_assignment, handling, attributes, ingestion_timestamp, content_hash, "
        "created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        item.event_id, item.correlation_id, item.timestamp, item.hostname, item.message, item.source,
        item.syslog_severity, item.trap_oid, rule_id, team, handling, event.attributes_text(item),
        item.ingestion_timestamp, event.content_hash(item),
        created_at or item.ingestion_timestamp + timedelta(seconds=1),
    )  # fmt: skip


def attempt(
    web_ui: WebUIUnderTest,
    item: Event,
    number: int,
    outcome: str,
    seconds: float,
    status: int | None = None,
    reason: str | None = None,
    latency_ms: float = 12.5,
) -> None:
    """The row of one attempt to deliver its alert, so many seconds after BEGIN."""
    web_ui.query(
        "INSERT INTO alert_delivery_log (event_id, correlation_id, attempt, attempted_at, outcome, status_code, "
        "reason, latency_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        item.event_id, item.correlation_id, number, BEGIN + timedelta(seconds=seconds), outcome, status, reason,
        latency_ms,
    )  # fmt: skip
