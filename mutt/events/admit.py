"""From one item of a request to an Event: checked field by field, cleaned, completed.

The rules are those of section 3 of the contract. Every refusal is a sentence that names the field.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from mutt.errors import EventError, Reason
from mutt.events.decode import MAX_DEPTH, Unreadable, decode_body
from mutt.events.event import Event
from mutt.events.ids import IdSource, canonical_uuid

MAX_HOSTNAME = 255
"""Characters; the longest name DNS allows, and short enough for PostgreSQL's index."""
MAX_SOURCE = 64
MAX_TRAP_OID = 512
MAX_ATTRIBUTES_BYTES = 256 * 1024

_KNOWN = frozenset(
    [
        *("timestamp", "message", "hostname", "source", "syslog_severity", "severity"),
        *("trap_oid", "correlation_id", "traceparent"),
    ]
)
_OID = re.compile(r"\.?[0-9]{1,20}(?:\.[0-9]{1,20})*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL's text type cannot hold: NUL and lone surrogates."""

_LEAP_SECOND = re.compile(r"(:\d\d:)60")


@dataclass(frozen=True, slots=True)
class Limits:
    """What ingest takes; see IngestSettings for the meaning and the defaults."""

    max_message_bytes: int = 65536
    max_event_age: timedelta = timedelta(days=3650)
    max_clock_ahead: timedelta = timedelta(days=1)
    required_fields: tuple[str, ...] = ("timestamp", "message", "hostname")


def admit(item: Any, now: datetime, ids: IdSource, limits: Limits) -> Event:
    """The event in ``item``, ready to be queued. Raises EventError with the first thing that is wrong with it."""
    if isinstance(item, Unreadable):
        raise EventError(Reason.NOT_JSON, item.sentence)
    if not isinstance(item, dict):
        raise EventError(Reason.NOT_AN_OBJECT, f"an event must be a JSON object, not {_kind(item)}")
    for field in limits.required_fields:
        if item.get(field) is None:
            raise EventError(Reason.MISSING_FIELD, f"{field} is required")
    message, truncated = _cut(_text(item, "message", None), limits.max_message_bytes)
    timestamp, original = _event_time(_text(item, "timestamp", 64), now, limits)
    event_id = ids.take()
    return Event(
        event_id=event_id,
        correlation_id=_correlation_id(item) or event_id,
        timestamp=timestamp,
        ingestion_timestamp=now,
        hostname=_hostname(item),
        message=message,
        source=_optional_text(item, "source", MAX_SOURCE),
        syslog_severity=_severity(item),
        trap_oid=_trap_oid(item),
        traceparent=_optional_text(item, "traceparent", 256),
        truncated=truncated,
        original_timestamp=original,
        attributes=_attributes(item),
    )


class _DigestIds(IdSource):
    """Gives one id, made of a digest of the record: the same record always gets the same id."""

    def __init__(self, record: bytes) -> None:
        super().__init__()
        self._id = str(UUID(bytes=hashlib.sha256(record).digest()[:16], version=5))

    def take(self, unix_ms: int | None = None) -> str:
        return self._id


def adopt(record: bytes, now: datetime, limits: Limits) -> Event:
    """The event in a record that somebody else put into the queue, checked like one that came over HTTP.

    Its event_id follows from its bytes, so that a redelivery is still recognised. Raises EventError.
    """
    items = decode_body(record)
    if not items.single:
        raise EventError(Reason.NOT_AN_OBJECT, "a message of the queue must be one JSON object")
    return admit(items.values[0], now, _DigestIds(record), limits)


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot store replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text) if _UNSTORABLE.search(text) else text


def _text(item: Mapping[str, Any], field: str, longest: int | None) -> str:
    value = item[field]
    if not isinstance(value, str):
        raise EventError(Reason.INVALID_FIELD, f"{field} must be a string, not {_kind(value)}")
    if longest is not None and len(value) > longest:
        raise EventError(Reason.INVALID_FIELD, f"{field} must be at most {longest} characters long, not {len(value)}")
    return storable(value)


def _optional_text(item: Mapping[str, Any], field: str, longest: int) -> str | None:
    if item.get(field) is None:
        return None
    return _text(item, field, longest) or None


def _hostname(item: Mapping[str, Any]) -> str:
    hostname = _text(item, "hostname", MAX_HOSTNAME).strip()
    if not hostname:
        raise EventError(Reason.INVALID_FIELD, "hostname must not be empty")
    return hostname


def _cut(message: str, longest: int) -> tuple[str, bool]:
    """The message within ``longest`` bytes of UTF-8, and whether it had to be cut."""
    if len(message) * 4 <= longest or len(encoded := message.encode()) <= longest:
        return message, False
    return encoded[:longest].decode("utf-8", "ignore"), True


def _correlation_id(item: Mapping[str, Any]) -> str | None:
    value = _optional_text(item, "correlation_id", 64)
    if value is None:
        return None
    uuid = canonical_uuid(value)
    if uuid is None:
        raise EventError(Reason.INVALID_FIELD, f"correlation_id must be a UUID, not {value!r}")
    return uuid


def _severity(item: Mapping[str, Any]) -> int | None:
    field = "syslog_severity" if item.get("syslog_severity") is not None else "severity"
    value = item.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) == 1 and value in "01234567":
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 7:
        return value
    raise EventError(Reason.INVALID_FIELD, f"{field} must be a number from 0 to 7, not {_shown(value)}")


def _trap_oid(item: Mapping[str, Any]) -> str | None:
    value = _optional_text(item, "trap_oid", MAX_TRAP_OID)
    if value is not None and not _OID.fullmatch(value):
        raise EventError(Reason.INVALID_FIELD, f"trap_oid must be numbers with dots between, not {value[:80]!r}")
    return value


def _event_time(text: str, now: datetime, limits: Limits) -> tuple[datetime, str | None]:
    """The time of the event in UTC, and the text it replaces when the source's clock is plainly wrong."""
    timestamp = parse_time(text)
    if timestamp is None:
        raise EventError(Reason.INVALID_FIELD, f"timestamp must be an ISO 8601 time, not {text!r}")
    if now - limits.max_event_age <= timestamp <= now + limits.max_clock_ahead:
        return timestamp, None
    return now, text


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 time in UTC (no offset means UTC), or None. A leap second counts as the second before it."""
    try:
        parsed = datetime.fromisoformat(_LEAP_SECOND.sub(r"\g<1>59", text, count=1).strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _attributes(item: Mapping[str, Any]) -> Any:
    """The fields MUTT does not know, as JSON text that PostgreSQL's jsonb takes."""
    if item.keys() <= _KNOWN:
        return UNSET
    cleaned = {storable(name): _clean(item[name], name, 1) for name in item if name not in _KNOWN}
    encoded = msgspec.json.encode(cleaned)
    if len(encoded) > MAX_ATTRIBUTES_BYTES:
        raise EventError(
            Reason.EVENT_TOO_LARGE,
            f"the fields beside message take {len(encoded)} bytes; at most {MAX_ATTRIBUTES_BYTES} are kept",
        )
    return msgspec.Raw(encoded)


def _clean(value: Any, field: str, depth: int) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int) and value.bit_length() > 63:
        return _as_float(value, field)
    if depth > MAX_DEPTH:
        raise EventError(Reason.INVALID_FIELD, f"{storable(field)[:80]} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        return {storable(name): _clean(inner, field, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner, field, depth + 1) for inner in value]
    return value


def _shown(value: Any) -> str:
    """A short value as a refusal may repeat it, or else what kind of value it is."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, int) and value.bit_length() <= 63 and not isinstance(value, bool):
        return str(value)
    return _kind(value)


def _as_float(value: int, field: str) -> float:
    """The nearest double: JSON's own idea of a number that does not fit 64 bits."""
    try:
        return float(value)
    except OverflowError:
        raise EventError(Reason.INVALID_FIELD, f"{storable(field)[:80]} holds a number that is out of range") from None


def _kind(value: Any) -> str:
    """What a JSON value is, in a reader's words."""
    if isinstance(value, Unreadable):
        return "unreadable text"
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return kinds.get(type(value), "null")
