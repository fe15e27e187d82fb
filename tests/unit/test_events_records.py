"""Events, alerts and dead letters as they lie in Redis, and the ids they carry."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mutt.errors import Reason
from mutt.events import alert, dead_letter, event
from mutt.events.admit import Limits, admit
from mutt.events.ids import IdSource, canonical_uuid

NOW = datetime(2025, 11, 10, 12, 30, 1, 250_000, tzinfo=UTC)
IDS = IdSource()
FULL: dict[str, Any] = {
    "timestamp": "2025-11-10T12:00:00.123456Z",
    "message": 'Ünïcode "quoted"\nsecond line',
    "hostname": "edge-1",
    "source": "syslog",
    "syslog_severity": 3,
    "trap_oid": ".1.3.6.1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "correlation_id": "550e8400-e29b-41d4-a716-446655440000",
    "site": "AMS",
    "n": [1, 2.5, None],
}


def admitted(item: dict[str, Any] | None = None, now: datetime = NOW, **changes: Any) -> event.Event:
    return admit({**(FULL if item is None else item), **changes}, now, IDS, Limits())


# --- events -----------------------------------------------------------------------------------------------------------


def test_an_event_is_one_line_of_json_and_reads_back_the_same() -> None:
    before = admitted()
    record = event.encode(before)
    assert b"\n" not in record
    after = event.decode(record)
    assert after.timestamp.utcoffset() == timedelta(0)
    assert msgspec.structs.asdict(after) == msgspec.structs.asdict(before)
    assert event.encode(after) == record


def test_an_event_of_the_required_fields_alone_is_short() -> None:
    record = json.loads(event.encode(admitted({"timestamp": "2025-11-10T12:00:00", "message": "m", "hostname": "h"})))
    assert set(record) == {"event_id", "correlation_id", "timestamp", "ingestion_timestamp", "hostname", "message"}


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"text", b'{"event_id":1}', event.encode(admitted())[:-1]])
def test_what_is_no_event_is_refused_when_read(record: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        event.decode(record)


def test_retries_and_replays_travel_with_the_event() -> None:
    failed = admitted()
    failed.retry_count, failed.replay_count = 2, 1
    again = event.decode(event.encode(failed))
    assert (again.retry_count, again.replay_count, again.event_id) == (2, 1, failed.event_id)


# --- the digest of the content ----------------------------------------------------------------------------------------


def test_a_resubmission_of_the_same_content_has_the_same_digest() -> None:
    first, again = admitted(), admitted(now=NOW + timedelta(minutes=5))
    assert first.event_id != again.event_id
    assert first.ingestion_timestamp != again.ingestion_timestamp
    assert event.content_hash(first) == event.content_hash(again)


def test_a_redelivery_has_the_same_digest() -> None:
    first = admitted()
    again = event.decode(event.encode(first))
    again.retry_count = 2
    assert event.content_hash(first) == event.content_hash(again)


@pytest.mark.parametrize(
    "change",
    [
        {"message": "other"},
        {"hostname": "edge-2"},
        {"source": "snmp"},
        {"source": None},
        {"syslog_severity": 4},
        {"syslog_severity": None},
        {"trap_oid": ".1.3.6.2"},
        {"site": "RTM"},
        {"n": [1, 2.5]},
        {"more": 1},
    ],
)
def test_different_content_has_another_digest(change: dict[str, Any]) -> None:
    assert event.content_hash(admitted()) != event.content_hash(admitted(**change))


def test_text_does_not_slide_between_fields() -> None:
    plain = {"timestamp": "2025-11-10T12:00:00Z", "message": "m", "hostname": "h"}
    assert event.content_hash(admitted({**plain, "source": "1"})) != event.content_hash(
        admitted({**plain, "trap_oid": "1"})
    )


def test_the_digest_fits_a_bigint() -> None:
    digests = [event.content_hash(admitted(message=str(n))) for n in range(200)]
    assert all(-(2**63) <= digest < 2**63 for digest in digests)
    assert min(digests) < 0 < max(digests)


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_an_alert_takes_over_what_the_event_says() -> None:
    source = admitted()
    source.replay_count = 1
    made = alert.from_event(source, "sig", "Ticket_only", "NETO", "production", 7)
    for field in ("event_id", "correlation_id", "timestamp", "ingestion_timestamp", "hostname", "message", "source"):
        assert getattr(made, field) == getattr(source, field)
    for field in ("syslog_severity", "trap_oid", "traceparent", "attributes", "replay_count"):
        assert getattr(made, field) == getattr(source, field)
    assert (made.signature, made.handling, made.team_assignment) == ("sig", "Ticket_only", "NETO")
    assert (made.environment, made.rule_id, made.retry_count) == ("production", 7, 0)


def test_an_alert_reads_back_the_same() -> None:
    made = alert.from_event(event.decode(event.encode(admitted())), "sig", "Ticket_only", "NETO", "production", None)
    made.retry_count = 3
    made.unhandled = {"pattern": "p", "count": 100}
    record = alert.encode(made)
    assert b"\n" not in record
    assert msgspec.structs.asdict(alert.decode(record)) == msgspec.structs.asdict(made)


@pytest.mark.parametrize("record", [b"", b"{}", b"text", event.encode(admitted())])
def test_what_is_no_alert_is_refused_when_read(record: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        alert.decode(record)


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_a_dead_letter_keeps_a_json_message_as_json() -> None:
    message = event.encode(admitted())
    record = dead_letter.bury(message, Reason.CANNOT_BE_STORED, "a sentence", "alerter", NOW, attempts=3, replays=1)
    assert json.loads(record) == {
        "reason": "cannot_be_stored",
        "error": "a sentence",
        "service": "alerter",
        "failed_at": "2025-11-10T12:30:01.250000Z",
        "payload": json.loads(message),
        "attempts": 3,
        "replays": 1,
    }


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (b"<14>link down", "<14>link down"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b'{"a":', '{"a":'),
        (b"NaN", "NaN"),
        (b"[" * 5_000, "[" * 5_000),
        (b'"text"', "text"),
        (b'{"a":"\\u0000"}', {"a": "\x00"}),
    ],
)
def test_a_dead_letter_keeps_any_message(message: bytes, payload: Any) -> None:
    letter = dead_letter.exhume(dead_letter.bury(message, Reason.UNREADABLE_MESSAGE, "why", "alerter", NOW))
    assert letter is not None
    assert letter.payload == payload
    assert (letter.reason, letter.failed_at, letter.attempts, letter.replays) == ("unreadable_message", NOW, 0, 0)


@pytest.mark.parametrize(
    "record", [b"", b"text", b"{}", b"[]", b"\xff", b'{"reason":"x"}', event.encode(admitted()), b"[" * 5_000]
)
def test_a_bare_message_in_a_dead_letter_list_is_told_apart(record: bytes) -> None:
    assert dead_letter.exhume(record) is None


def test_a_dead_letter_reads_back_the_same() -> None:
    record = dead_letter.bury(b'{"b":1,"a":[1.5]}', Reason.INVALID_FIELD, "why", "ingestor", NOW)
    letter = dead_letter.exhume(record)
    assert letter is not None
    assert dead_letter.exhume(dead_letter.encode(letter)) == letter


# --- ids --------------------------------------------------------------------------------------------------------------


def test_ids_are_unique_and_of_version_7() -> None:
    ids = [IDS.take() for _ in range(50_000)]
    assert len(set(ids)) == 50_000
    for text in ids[::500]:
        assert str(UUID(text)) == text
        assert (UUID(text).version, UUID(text).variant) == (7, "specified in RFC 4122")


def test_two_sources_make_different_ids_in_the_same_millisecond() -> None:
    first, second = IdSource(), IdSource()
    assert not {first.take(1_000) for _ in range(5_000)} & {second.take(1_000) for _ in range(5_000)}


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    milliseconds = [0, 1, 255, 256, 65_535, 65_536, 1_762_776_000_000, 1_762_776_000_001, 2**48 - 1]
    ids = [IDS.take(millisecond) for millisecond in milliseconds for _ in range(20)]
    made_in = [int(text.replace("-", "")[:12], 16) for text in ids]
    assert made_in == [millisecond for millisecond in milliseconds for _ in range(20)]
    assert [ids.index(text) // 20 for text in sorted(ids)] == [n for n in range(len(milliseconds)) for _ in range(20)]


def test_an_id_carries_the_time_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = int(IDS.take().replace("-", "")[:12], 16)
    assert before <= made <= time.time_ns() // 1_000_000


def test_canonical_uuids_are_lower_case_with_hyphens() -> None:
    canonical = "550e8400-e29b-41d4-a716-446655440000"
    assert canonical_uuid(canonical.upper()) == canonical_uuid(canonical.replace("-", "")) == canonical
    assert canonical_uuid("not one") is None
    assert canonical_uuid("") is None
