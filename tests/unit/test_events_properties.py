"""Whatever arrives: it is taken or refused with an EventError, and what is taken can be stored."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mutt.errors import EventError, Reason
from mutt.events import dead_letter, event
from mutt.events.admit import Limits, admit, parse_time
from mutt.events.decode import decode_body
from mutt.events.ids import IdSource

NOW = datetime(2025, 11, 10, 12, 30, tzinfo=UTC)
IDS = IdSource()
MANY = settings(max_examples=500, deadline=None)
SOME = settings(max_examples=300, deadline=None)

WILD_TEXT = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(
    ["", "\x00", "\ud800", "\udfffx", "a\x00b", "\ufeff", "\u2028", "é" * 40, "[" * 40, '"' * 9, "\\" * 9]
)
NUMBERS = st.integers() | st.integers(10**18, 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WILD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WILD_TEXT, inner, max_size=4),
    max_leaves=12,
)
TIMES = (
    st.datetimes().map(datetime.isoformat)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.sampled_from(["2025-11-10T12:00:00Z", "2016-12-31T23:59:60Z", "2025-W46-1", "0001-01-01T00:00:00+23:59"])
    | WILD_TEXT
)
EVENT_LIKE = st.fixed_dictionaries(
    {"timestamp": TIMES, "message": WILD_TEXT | st.text(min_size=1, max_size=200).map(lambda text: text * 2_000)},
    optional={
        "hostname": WILD_TEXT | st.just("edge-1"),
        "source": WILD_TEXT,
        "syslog_severity": JSON_VALUES | st.integers(0, 7),
        "severity": JSON_VALUES | st.sampled_from("01234567"),
        "trap_oid": WILD_TEXT | st.just("1.3.6.1"),
        "correlation_id": WILD_TEXT | st.uuids().map(str),
        "traceparent": WILD_TEXT,
        "extra": JSON_VALUES,
    },
)
ITEMS = EVENT_LIKE | JSON_VALUES | st.dictionaries(WILD_TEXT | st.sampled_from(["message", "hostname"]), JSON_VALUES)


def assert_storable(text: str | None) -> None:
    if text is not None:
        text.encode()  # Raises on a lone surrogate.
        assert "\x00" not in text


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def assert_jsonb(text: str | None) -> None:
    """PostgreSQL's jsonb takes it: an object, no NUL escaped or plain, no lone surrogate, no NaN or Infinity."""
    if text is None:
        return
    assert_storable(text)
    document = json.loads(text, parse_constant=refuse_constant)
    assert isinstance(document, dict)
    assert_storable(json.dumps(document, ensure_ascii=False))
    assert "\\u0000" not in json.dumps(document).replace("\\\\", "")


def assert_sound(admitted: event.Event) -> None:
    for text in (admitted.message, admitted.hostname, admitted.source, admitted.trap_oid, admitted.traceparent):
        assert_storable(text)
    assert_storable(admitted.original_timestamp)
    assert len(admitted.message.encode()) <= Limits().max_message_bytes
    assert admitted.syslog_severity is None or admitted.syslog_severity in range(8)
    assert abs(admitted.timestamp - NOW) <= Limits().max_event_age
    assert_jsonb(event.attributes_text(admitted))
    record = event.encode(admitted)
    assert b"\n" not in record
    again = event.decode(record)
    assert msgspec.structs.asdict(again) == msgspec.structs.asdict(admitted)
    assert event.content_hash(again) == event.content_hash(admitted)
    assert event.attributes_text(again) == event.attributes_text(admitted)


def assert_fit_to_be_told(error: EventError) -> None:
    """The refusal can be a metric label, an answer and a dead letter."""
    assert error.reason in set(Reason)
    assert_storable(str(error))
    assert len(str(error)) < 500


def judge(item: Any) -> event.Event | None:
    """The event in the item, found sound, or None when it was refused as it should be."""
    try:
        admitted = admit(item, NOW, IDS, Limits())
    except EventError as error:
        assert_fit_to_be_told(error)
        return None
    assert_sound(admitted)
    return admitted


def judge_body(body: bytes) -> int:
    """How many events there are in the body; every item of it was judged."""
    try:
        items = decode_body(body)
    except EventError as error:
        assert_fit_to_be_told(error)
        return 0
    assert not items.single or len(items.values) == 1
    return sum(judge(value) is not None for value in items.values)


@MANY
@given(st.binary(max_size=400))
@example(b'{"a":"' + b"\\" * 51 + b'"')
@example(b"[" * 100_000)
@example(b"[1," + b"[" * 3_000 + b"]" * 3_000 + b"]")
@example(b'{"n":' + b"1" * 5_000 + b"}")
@example(b"-" * 100)
def test_any_bytes_are_items_or_a_refusal(body: bytes) -> None:
    judge_body(body)


@MANY
@given(st.text(st.sampled_from('[]{}",:\\ \n\x00\ufeff01e-.tfn"a'), max_size=60))
def test_anything_that_looks_a_little_like_json_is_items_or_a_refusal(text: str) -> None:
    judge_body(text.encode())
    judge_body(b"[" + text.encode() + b",{}]")


@MANY
@given(ITEMS)
def test_any_json_value_is_an_event_or_a_refusal(item: Any) -> None:
    judge(item)


@SOME
@given(st.lists(ITEMS, max_size=6), st.sampled_from(["array", "lines", "envelope"]), st.booleans())
def test_a_batch_yields_what_its_items_yield_one_by_one(values: list[Any], kind: str, spoil: bool) -> None:
    # Escaped non-ASCII text: raw line separators of Unicode have a test of their own.
    texts = [json.dumps(value).encode() for value in values]
    good = sum(judge_body(b"[" + text + b"]") for text in texts)
    if spoil and kind != "envelope":
        texts.insert(len(texts) // 2, b"{broken}")
    if kind == "array":
        body = b"[" + b",".join(texts) + b"]"
    elif kind == "lines":
        body = b"\n\n".join([b"{}", *texts])  # The first line keeps it from being one lone document.
    else:
        body = b'{"records":[' + b",".join(b'{"value":%b}' % text for text in texts) + b"]}"
    assert judge_body(body) == good


@SOME
@given(EVENT_LIKE, st.binary(max_size=30))
def test_bytes_inserted_anywhere_into_an_event_break_nothing_else(item: dict[str, Any], noise: bytes) -> None:
    body = json.dumps(item).encode()
    middle = len(body) // 2
    judge_body(body[:middle] + noise + body[middle:])
    judge_body(body[:middle])


@SOME
@given(st.integers(1, 2_000), st.sampled_from(["[", '{"a":']), st.sampled_from(["1", '"\ud800"', "[]", ""]))
def test_any_depth_is_taken_or_refused(depth: int, bracket: str, leaf: str) -> None:
    closing = ("]" if bracket == "[" else "}") * depth
    text = bracket * depth + leaf + closing
    body = '{"timestamp":"2025-11-10T12:00:00Z","message":"m","hostname":"h","deep":' + text + "}"
    judge_body(body.encode("utf-8", "surrogatepass"))
    judge_body(b'{"records":[' + text.encode("utf-8", "surrogatepass") + b"]}")


@SOME
@given(st.text(st.sampled_from("0123456789-+.eE"), min_size=1, max_size=30), st.integers(1, 400))
def test_any_number_is_taken_or_refused(digits: str, times: int) -> None:
    body = '{"timestamp":"2025-11-10T12:00:00Z","message":"m","hostname":"h","n":%s}' % (digits * times)
    judge_body(body.encode())


@MANY
@given(TIMES)
def test_any_text_is_a_time_in_utc_or_none(text: str) -> None:
    parsed = parse_time(text)
    assert parsed is None or parsed.tzinfo is UTC


@SOME
@given(st.binary(max_size=200) | ITEMS.map(lambda item: json.dumps(item).encode()), WILD_TEXT)
def test_any_message_can_be_a_dead_letter(message: bytes, text: str) -> None:
    sentence = text.encode("utf-8", "replace").decode()
    letter = dead_letter.exhume(dead_letter.bury(message, Reason.NOT_JSON, sentence, "ingestor", NOW))
    assert letter is not None
    assert letter.error == sentence


def test_ten_thousand_events_in_a_batch() -> None:
    line = b'{"timestamp":"2025-11-10T12:00:00Z","message":"\xff link %d down","hostname":"h","n":%d}'
    items = decode_body(b"\n".join(line % (n, n) for n in range(10_000)))
    events = [admit(value, NOW, IDS, Limits()) for value in items.values]
    assert [each.message for each in events] == [f"\ufffd link {n} down" for n in range(10_000)]
    assert len({each.event_id for each in events}) == 10_000
