"""The event audit, the journey of one event, and the audit of the configuration."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mutt.admin.shapes.common import ChangeReason, Limit, Page, PageNumber, Paging

Text = Annotated[str, Meta(max_length=500)]


class EventConditions(msgspec.Struct, kw_only=True):
    """Which events the audit shows, which its export holds.

    ``start_date`` and ``end_date`` are dates or times; without an offset UTC. A date at the end counts whole.
    """

    hostname: Annotated[str, Meta(max_length=500, description="A host, or how its name begins: core-*")] | None = None
    rule_id: Annotated[str, Meta(pattern="^([0-9]{1,9}|none)?$", description="A rule, or none.")] | None = None
    start_date: Annotated[str, Meta(max_length=40)] | None = None
    end_date: Annotated[str, Meta(max_length=40)] | None = None
    handling: Text | None = None
    team: Text | None = None
    source: Text | None = None
    q: Annotated[str, Meta(max_length=200, description="Text within the message, in any case.")] | None = None


class EventFilter(EventConditions, kw_only=True):
    """A page of them."""

    page: PageNumber = 1
    limit: Limit | None = None


class AuditedEvent(msgspec.Struct, kw_only=True):
    """A row of the event audit."""

    event_id: str
    correlation_id: str
    event_timestamp: datetime
    hostname: str
    message: str
    source: str | None
    syslog_severity: int | None
    trap_oid: str | None
    rule_id: int | None
    team_assignment: str | None
    handling: str
    attributes: Any | None
    ingestion_timestamp: datetime
    created_at: datetime


class EventPage(Page, kw_only=True):
    logs: list[AuditedEvent]
    total_is_estimate: bool = False
    """True when there are too many to count each time; then ``total`` is what PostgreSQL reckons."""


class EventKey(msgspec.Struct):
    correlation_id: Annotated[str, Meta(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class Delivery(msgspec.Struct, kw_only=True):
    """One attempt to deliver the alert."""

    attempt: int
    attempted_at: datetime
    outcome: str
    status_code: int | None
    reason: str | None
    latency_ms: float | None


class Hop(msgspec.Struct, kw_only=True):
    """A step of the journey. ``name``: received, decided, queued, attempt, delivered, dead_lettered, ..."""

    name: str
    at: datetime | None
    sentence: str
    seconds_since_previous: float | None = None


class EventJourney(msgspec.Struct, kw_only=True):
    """One event under the correlation id, with everything that is known to have happened to it.

    ``state``: settled, waiting, retrying, dead_letter, decided (nothing to deliver) or unknown.
    """

    event: AuditedEvent | None
    rule: dict[str, Any] | None
    hops: list[Hop]
    deliveries: list[Delivery]
    state: str
    sentence: str


class Journeys(msgspec.Struct, kw_only=True):
    """A source may send several events under one correlation id."""

    correlation_id: str
    journeys: list[EventJourney]
    problem: str | None = None
    """What could not be looked at, when something could not: then more may have happened than is shown."""


class ConfigAuditFilter(Paging, kw_only=True):
    table_name: Text | None = None
    operation: Literal["CREATE", "UPDATE", "DELETE"] | None = None
    changed_by: Text | None = None
    record_id: Text | None = None
    correlation_id: Text | None = None
    start_date: Annotated[str, Meta(max_length=40)] | None = None
    end_date: Annotated[str, Meta(max_length=40)] | None = None


class ConfigChange(msgspec.Struct, kw_only=True):
    """A row of the configuration audit. ``status`` pending: written before the change, which was not confirmed."""

    id: int
    changed_at: datetime
    changed_by: str
    operation: str
    table_name: str
    record_id: str | None
    old_values: Any | None
    new_values: Any | None
    reason: str | None
    correlation_id: str | None
    status: str
    can_be_undone: bool = False
    """True when what was changed still is as the change left it."""


class ConfigChangePage(Page, kw_only=True):
    logs: list[ConfigChange]


class ChangeKey(msgspec.Struct):
    change_id: Annotated[int, Meta(ge=1, le=9223372036854775807)]


class Undo(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    reason: ChangeReason | None = None
