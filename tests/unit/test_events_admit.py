"""From an item to an Event: what is refused, what is repaired, what is kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from mutt.errors import EventError, Reason
from mutt.events.admit import (
    MAX_ATTRIBUTES_BYTES,
    MAX_HOSTNAME,
    MAX_SOURCE,
    MAX_TRAP_OID,
    Limits,
    admit,
    adopt,
    parse_time,
    storable,
)
from mutt.events.decode import MAX_DEPTH, Unreadable
from mutt.events.event import Event, attributes_text
from mutt.events.ids import IdSource

NOW = datetime(2025, 11, 10, 12, 30, tzinfo=UTC)
GOOD: dict[str, Any] = {"timestamp": "2025-11-10T12:00:00Z", "message": "link down", "hostname": "edge-1"}
IDS = IdSource()


def admitted(limits: Limits | None = None, **changes: Any) -> Event:
    return admit({**GOOD, **changes}, NOW, IDS, limits or Limits())


def refused(item: Any) -> EventError:
    with pytest.raises(EventError) as caught:
        admit(item, NOW, IDS, Limits())
    return caught.value


def refused_with(**changes: Any) -> EventError:
    return refused({**GOOD, **changes})


def kept(event: Event) -> Any:
    """The attributes as the audit row gets them."""
    text = attributes_text(event)
    return None if text is None else json.loads(text)


# --- a plain event ----------------------------------------------------------------------------------------------------


def test_the_three_required_fields_are_enough() -> None:
    event = admitted()
    assert (event.message, event.hostname) == ("link down", "edge-1")
    assert event.timestamp == datetime(2025, 11, 10, 12, tzinfo=UTC)
    assert event.ingestion_timestamp == NOW
    assert event.correlation_id == event.event_id
    assert (event.source, event.syslog_severity, event.trap_oid, event.traceparent) == (None, None, None, None)
    assert (event.truncated, event.original_timestamp, event.retry_count) == (False, None, 0)
    assert kept(event) is None


def test_null_and_empty_optional_fields_are_as_good_as_absent() -> None:
    for nothing in (None, ""):
        event = admitted(
            source=nothing, syslog_severity=nothing, trap_oid=nothing, traceparent=nothing, correlation_id=nothing
        )
        assert (event.source, event.syslog_severity, event.trap_oid, event.traceparent) == (None, None, None, None)
        assert event.correlation_id == event.event_id


@pytest.mark.parametrize("field", ["timestamp", "message", "hostname"])
def test_a_missing_required_field_is_named(field: str) -> None:
    for item in ({k: v for k, v in GOOD.items() if k != field}, {**GOOD, field: None}):
        error = refused(item)
        assert error.reason is Reason.MISSING_FIELD
        assert str(error) == f"{field} is required"


def test_further_fields_can_be_required() -> None:
    limits = Limits(required_fields=("timestamp", "message", "hostname", "site"))
    with pytest.raises(EventError, match="site is required"):
        admitted(limits)
    assert kept(admitted(limits, site="AMS")) == {"site": "AMS"}


@pytest.mark.parametrize("item", [None, 5, True, 1.5, "text", [GOOD]])
def test_an_item_that_is_no_object_is_refused(item: Any) -> None:
    assert refused(item).reason is Reason.NOT_AN_OBJECT


def test_an_unreadable_item_is_refused_with_its_own_sentence() -> None:
    error = refused(Unreadable("{oops", "not JSON: a reason"))
    assert (error.reason, str(error)) == (Reason.NOT_JSON, "not JSON: a reason")


@pytest.mark.parametrize("value", [5, True, 1.5, [], {}, ["x"]])
@pytest.mark.parametrize("field", ["timestamp", "message", "hostname", "source", "trap_oid", "traceparent"])
def test_a_text_field_of_another_type_is_refused_by_name(field: str, value: Any) -> None:
    error = refused_with(**{field: value})
    assert error.reason is Reason.INVALID_FIELD
    assert str(error).startswith(f"{field} must be a string, not ")


@pytest.mark.parametrize(
    ("field", "longest"), [("hostname", MAX_HOSTNAME), ("source", MAX_SOURCE), ("trap_oid", MAX_TRAP_OID)]
)
def test_a_text_field_has_a_longest_length(field: str, longest: int) -> None:
    assert getattr(admitted(**{field: "1" * 20 + ".1" * ((longest - 20) // 2)}), field)
    assert "characters long" in str(refused_with(**{field: "1" * (longest + 1)}))


def test_a_host_name_of_blanks_is_none() -> None:
    assert "hostname must not be empty" in str(refused_with(hostname=" \t"))
    assert admitted(hostname=" edge-1 ").hostname == "edge-1"


# --- text PostgreSQL cannot store -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [chr(code) for code in (0, 0xD800, 0xDC80, 0xDFFF)])
def test_nul_and_lone_surrogates_are_replaced_everywhere(bad: str) -> None:
    event = admitted(
        message=f"a{bad}b", hostname=f"h{bad}", source=f"s{bad}", traceparent=bad, **{f"x{bad}": [{f"y{bad}": bad}]}
    )
    assert (event.message, event.hostname, event.source) == ("a\ufffdb", "h\ufffd", "s\ufffd")
    assert kept(event) == {"x\ufffd": [{"y\ufffd": "\ufffd"}], "traceparent": "\ufffd"}


def test_other_text_stays_as_it_is() -> None:
    text = "Ünïcode \U0001f525 \t\x1b[31m\u2028 \x7f"
    assert storable(text) == text
    assert admitted(message=text).message == text


# --- long messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["a", "é", "\u20ac", "\U0001f525"])
def test_a_long_message_is_cut_at_a_character_and_marked(character: str) -> None:
    event = admitted(message="x" + character * 70_000)
    size = len(event.message.encode())
    assert event.truncated
    assert 65_536 - len(character.encode()) < size <= 65_536
    assert event.message == "x" + character * ((65_536 - 1) // len(character.encode()))
    assert kept(event) == {"truncated": True}


def test_a_message_of_just_the_limit_is_not_cut() -> None:
    event = admitted(message="é" * 32_768)
    assert (len(event.message), event.truncated) == (32_768, False)


def test_the_limit_is_a_setting() -> None:
    assert admitted(Limits(max_message_bytes=256), message="m" * 257).message == "m" * 256


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-10T12:00:00Z", datetime(2025, 11, 10, 12, tzinfo=UTC)),
        ("2025-11-10T12:00:00", datetime(2025, 11, 10, 12, tzinfo=UTC)),
        ("2025-11-10 12:00:00", datetime(2025, 11, 10, 12, tzinfo=UTC)),
        ("2025-11-10T13:00:00+01:00", datetime(2025, 11, 10, 12, tzinfo=UTC)),
        ("2025-11-10T06:30:00.5-05:30", datetime(2025, 11, 10, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2025-11-10T12:00:00.123456789Z", datetime(2025, 11, 10, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("20251110T120000Z", datetime(2025, 11, 10, 12, tzinfo=UTC)),
        (" 2025-11-10T12:00:00Z ", datetime(2025, 11, 10, 12, tzinfo=UTC)),
    ],
)
def test_iso_8601_times_are_read_as_utc(text: str, expected: datetime) -> None:
    parsed = parse_time(text)
    assert parsed == expected
    assert parsed is not None
    assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1762776000",
        "10/11/2025",
        "2025-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "\ud800",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert parse_time(text) is None
    error = refused_with(timestamp=text)
    assert error.reason is Reason.INVALID_FIELD
    assert str(error).startswith("timestamp must be an ISO 8601 time")


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2015-11-13T12:29:59Z", "2025-11-11T12:30:01Z", "9999-12-31"])
def test_a_time_out_of_range_becomes_the_ingestion_time_and_is_kept(text: str) -> None:
    event = admitted(timestamp=text)
    assert (event.timestamp, event.original_timestamp) == (NOW, text)
    assert kept(event) == {"original_timestamp": text}


@pytest.mark.parametrize("text", ["2015-11-13T12:30:00Z", "2025-11-11T12:30:00Z"])
def test_a_time_at_the_edge_of_the_range_is_believed(text: str) -> None:
    event = admitted(timestamp=text)
    assert (event.timestamp, event.original_timestamp) == (parse_time(text), None)


# --- severity, OID, correlation id ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", range(8))
def test_severity_is_a_number_or_its_digit_under_either_name(value: int) -> None:
    for given in (value, str(value)):
        assert admitted(syslog_severity=given).syslog_severity == value
        assert admitted(severity=given).syslog_severity == value
        assert kept(admitted(severity=given)) is None


def test_the_proper_name_of_severity_wins_over_the_older_one() -> None:
    assert admitted(syslog_severity=0, severity=7).syslog_severity == 0
    assert admitted(syslog_severity=None, severity=7).syslog_severity == 7


@pytest.mark.parametrize("value", [-1, 8, 10**30, 3.0, True, False, "8", "-1", "03", "err", "\u0663", [], {}, [3]])
@pytest.mark.parametrize("field", ["syslog_severity", "severity"])
def test_any_other_severity_is_refused(field: str, value: Any) -> None:
    error = refused_with(**{field: value})
    assert error.reason is Reason.INVALID_FIELD
    assert str(error).startswith(f"{field} must be a number from 0 to 7")


@pytest.mark.parametrize("oid", ["1.3.6.1.4.1.9", ".1.3.6", "1", "0." + "9" * 20])
def test_oids_are_kept_as_given(oid: str) -> None:
    assert admitted(trap_oid=oid).trap_oid == oid


@pytest.mark.parametrize("oid", ["1.3.", "1..3", "..1", ".", "linkDown", "1.3.6\n", "1.x", "\u0661.\u0663", "9" * 21])
def test_what_is_no_oid_is_refused(oid: str) -> None:
    assert "trap_oid must be numbers with dots between" in str(refused_with(trap_oid=oid))


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "550E8400-E29B-41D4-A716-446655440000",
        "550e8400e29b41d4a716446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_a_correlation_id_is_kept_in_its_canonical_form(text: str) -> None:
    event = admitted(correlation_id=text)
    assert event.correlation_id == "550e8400-e29b-41d4-a716-446655440000"
    assert event.event_id != event.correlation_id


@pytest.mark.parametrize("text", ["abc", "550e8400", "g" * 32, "550e8400-e29b-41d4-a716-44665544000", "\x00", " "])
def test_a_correlation_id_that_is_no_uuid_is_refused(text: str) -> None:
    assert str(refused_with(correlation_id=text)).startswith("correlation_id must be a UUID")


@pytest.mark.parametrize("text", ["0x" + "a" * 30, "+" + "a" * 31, "1_" * 15 + "11", "\u0661" * 32])
def test_what_only_looks_like_a_number_is_no_uuid(text: str) -> None:
    assert str(refused_with(correlation_id=text)).startswith("correlation_id must be a UUID")


# --- unknown fields ---------------------------------------------------------------------------------------------------


def test_unknown_fields_travel_with_the_event() -> None:
    unknown = {"site": "AMS", "n": 1, "f": 1.5, "flag": True, "nothing": None, "deep": {"list": [1, {"x": "y"}]}}
    assert kept(admitted(**unknown)) == unknown


@pytest.mark.parametrize(("number", "kept_as"), [(2**63 - 1, 2**63 - 1), (2**64, 2.0**64), (-(10**30), -1e30)])
def test_numbers_beyond_64_bits_become_doubles(number: int, kept_as: float) -> None:
    assert kept(admitted(n=number)) == {"n": kept_as}


def test_a_number_beyond_a_double_is_refused() -> None:
    error = refused_with(big=[10**400])
    assert (error.reason, str(error)) == (Reason.INVALID_FIELD, "big holds a number that is out of range")


def test_nesting_is_bounded() -> None:
    def nested(levels: int) -> Any:
        return 1 if levels == 0 else [nested(levels - 1)]

    assert kept(admitted(deep=nested(MAX_DEPTH - 1)))
    assert "deep is nested more than" in str(refused_with(deep=nested(MAX_DEPTH)))


def test_unknown_fields_may_take_so_many_bytes_together() -> None:
    assert kept(admitted(blob="x" * (MAX_ATTRIBUTES_BYTES - 100)))
    assert refused_with(blob="x" * MAX_ATTRIBUTES_BYTES).reason is Reason.EVENT_TOO_LARGE


def test_notes_of_ingest_stand_beside_unknown_fields() -> None:
    event = admitted(timestamp="1970-01-01T00:00:00Z", message="m" * 70_000, traceparent="00-aa-bb-01", site="AMS")
    assert kept(event) == {
        "site": "AMS",
        "truncated": True,
        "original_timestamp": "1970-01-01T00:00:00Z",
        "traceparent": "00-aa-bb-01",
    }


# --- ids --------------------------------------------------------------------------------------------------------------


def test_every_event_gets_an_event_id_of_its_own() -> None:
    same = "550e8400-e29b-41d4-a716-446655440000"
    events = [admitted(correlation_id=same) for _ in range(100)]
    assert len({event.event_id for event in events}) == 100
    assert {event.correlation_id for event in events} == {same}
    assert all(UUID(event.event_id).version == 7 for event in events)


# --- records that came into the queue another way ---------------------------------------------------------------------


def test_a_foreign_record_is_adopted_with_an_id_that_follows_from_its_bytes() -> None:
    record = json.dumps({**GOOD, "site": "AMS"}).encode()
    first, again = adopt(record, NOW, Limits()), adopt(record, NOW + timedelta(hours=1), Limits())
    other = adopt(record + b" ", NOW, Limits())
    assert first.event_id == again.event_id != other.event_id
    assert str(UUID(first.event_id)) == first.event_id
    assert kept(first) == {"site": "AMS"}


@pytest.mark.parametrize("record", [b"{}", b"5", b'{"message":1}'])
def test_a_foreign_record_is_checked_like_any_event(record: bytes) -> None:
    with pytest.raises(EventError):
        adopt(record, NOW, Limits())


@pytest.mark.parametrize("record", [b"", b"text", b"[]", b'{"a":1}\n{"a":2}', b"\xff"])
def test_a_foreign_record_that_is_no_event_is_refused(record: bytes) -> None:
    with pytest.raises(EventError):
        adopt(record, NOW, Limits())
