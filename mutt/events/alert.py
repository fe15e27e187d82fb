"""The alert as it travels: from the alerter through Redis to the forwarder."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from mutt.events.event import Event


class Alert(msgspec.Struct, gc=False, omit_defaults=True):
    """One alert for Moogsoft: the event, what was decided about it, and how often it was tried.

    ``event_id`` tells alerts apart; a meta-alert has one of its own though no event is behind it. ``signature`` is
    the same for repeats of one fault. ``retry_count`` counts deliveries that failed while the circuit was closed.
    """

    event_id: str
    correlation_id: str
    timestamp: datetime
    ingestion_timestamp: datetime
    hostname: str
    message: str
    signature: str
    handling: str
    team_assignment: str
    environment: str
    rule_id: int | None = None
    source: str | None = None
    syslog_severity: int | None = None
    trap_oid: str | None = None
    traceparent: str | None = None
    attributes: msgspec.Raw | UnsetType = UNSET
    unhandled: dict[str, str | int] | UnsetType = UNSET
    retry_count: int = 0
    replay_count: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Alert)


def encode(alert: Alert) -> bytes:
    """The alert as one line of JSON, the way it lies in Redis."""
    return _encoder.encode(alert)


def decode(record: bytes) -> Alert:
    """The alert in a record that ``encode`` made. Raises msgspec.MsgspecError when it is not one."""
    return _decoder.decode(record)


def from_event(event: Event, signature: str, handling: str, team: str, environment: str, rule_id: int | None) -> Alert:
    """The alert that a decision makes of an event."""
    return Alert(
        event_id=event.event_id,
        correlation_id=event.correlation_id,
        timestamp=event.timestamp,
        ingestion_timestamp=event.ingestion_timestamp,
        hostname=event.hostname,
        message=event.message,
        signature=signature,
        handling=handling,
        team_assignment=team,
        environment=environment,
        rule_id=rule_id,
        source=event.source,
        syslog_severity=event.syslog_severity,
        trap_oid=event.trap_oid,
        traceparent=event.traceparent,
        attributes=event.attributes,
        replay_count=event.replay_count,
    )
