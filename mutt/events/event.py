"""The event as it travels: from ingest through Redis to the alerter."""

import hashlib
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One accepted event. All times are aware and in UTC; text can be stored by PostgreSQL as it is.

    ``event_id`` is time-ordered and frozen at ingest, like ``timestamp``: a redelivery from the queue carries the
    same two, a resubmission by the source another event_id. ``attributes`` is a JSON object with the fields that
    MUTT does not know. ``retry_count`` counts the alerter's failures, ``replay_count`` the replays by remediation.
    """

    event_id: str
    correlation_id: str
    timestamp: datetime
    ingestion_timestamp: datetime
    hostname: str
    message: str
    source: str | None = None
    syslog_severity: int | None = None
    trap_oid: str | None = None
    traceparent: str | None = None
    truncated: bool = False
    original_timestamp: str | None = None
    attributes: msgspec.Raw | UnsetType = UNSET
    retry_count: int = 0
    replay_count: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event as one line of JSON, the way it lies in Redis."""
    return _encoder.encode(event)


def decode(record: bytes) -> Event:
    """The event in a record that ``encode`` made. Raises msgspec.MsgspecError when it is not one."""
    return _decoder.decode(record)


def attributes_text(event: Event) -> str | None:
    """What the audit row keeps beside its columns: the unknown fields and what ingest noted, as JSON text."""
    notes: dict[str, object] = {}
    if event.truncated:
        notes["truncated"] = True
    if event.original_timestamp is not None:
        notes["original_timestamp"] = event.original_timestamp
    if event.traceparent is not None:
        notes["traceparent"] = event.traceparent
    if isinstance(event.attributes, UnsetType):
        return _encoder.encode(notes).decode() if notes else None
    if notes:
        notes = {**msgspec.json.decode(event.attributes), **notes}
        return _encoder.encode(notes).decode()
    return bytes(event.attributes).decode()


def content_hash(event: Event) -> int:
    """Signed 64-bit digest of what the source said, so that two events under one correlation_id stay two.

    Times and ids are left out: the same content sent again must meet its own audit row.
    """
    content = (
        event.hostname,
        event.message,
        event.source,
        event.syslog_severity,
        event.trap_oid,
        None if isinstance(event.attributes, UnsetType) else bytes(event.attributes).decode(),
    )
    digest = hashlib.sha256(_encoder.encode(content)).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
