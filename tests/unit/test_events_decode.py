"""From bytes to items: every kind of body, and good items beside bad ones."""

import json
import tracemalloc
from typing import Any

import pytest

from mutt.errors import EventError, Reason
from mutt.events.decode import MAX_DEPTH, Unreadable, decode_body

GOOD: dict[str, Any] = {"timestamp": "2025-11-10T12:00:00Z", "message": "link down", "hostname": "edge-1"}
OTHER: dict[str, Any] = {**GOOD, "hostname": "edge-2"}
GOOD_JSON = json.dumps(GOOD).encode()
OTHER_JSON = json.dumps(OTHER).encode()


def refusal(body: bytes) -> EventError:
    with pytest.raises(EventError) as caught:
        decode_body(body)
    assert caught.value.reason is Reason.NOT_JSON
    return caught.value


# --- the kinds of body ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [GOOD_JSON, b"\n " + GOOD_JSON + b"\r\n\r\n", b"\xef\xbb\xbf" + GOOD_JSON])
def test_one_object_is_a_single_item(body: bytes) -> None:
    assert decode_body(body) == ([GOOD], True)


def test_an_object_over_several_lines_is_a_single_item() -> None:
    assert decode_body(json.dumps(GOOD, indent=2).encode()) == ([GOOD], True)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_array_is_a_batch_however_long(count: int) -> None:
    assert decode_body(json.dumps([GOOD] * count).encode()) == ([GOOD] * count, False)


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\n\n", b"\n \n\t\n"])
def test_lines_are_a_batch_and_blank_lines_are_nothing(separator: bytes) -> None:
    assert decode_body(separator.join([GOOD_JSON, OTHER_JSON, b""])) == ([GOOD, OTHER], False)


def test_a_kafkarest_envelope_is_a_batch_of_its_values() -> None:
    body = json.dumps({"records": [{"value": GOOD}, {"value": OTHER}]}).encode()
    assert decode_body(body) == ([GOOD, OTHER], False)


def test_a_kafkarest_envelope_with_one_record_is_still_a_batch() -> None:
    assert decode_body(json.dumps({"records": [{"value": GOOD}]}).encode()) == ([GOOD], False)


def test_an_event_with_a_field_records_is_an_event() -> None:
    event = {**GOOD, "records": [{"value": 1}]}
    assert decode_body(json.dumps(event).encode()) == ([event], True)


@pytest.mark.parametrize("document", [5, "text", None, True, 1.5])
def test_a_document_that_is_no_object_is_an_item_for_admit_to_refuse(document: Any) -> None:
    assert decode_body(json.dumps(document).encode()) == ([document], True)


# --- bad neighbours ---------------------------------------------------------------------------------------------------

BROKEN = [b'{"message": tru}', b'{"message" "x"}', b"{}}"[:1], b"plain text", b'{"a":NaN}', b'{"a":1e999}']


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_line_costs_no_other_line(broken: bytes) -> None:
    items = decode_body(b"\n".join([GOOD_JSON, broken, OTHER_JSON]))
    assert [items.values[0], items.values[2]] == [GOOD, OTHER]
    assert isinstance(items.values[1], Unreadable)
    assert items.values[1].text == broken.decode()
    assert items.values[1].sentence.startswith("not JSON: ")
    assert not items.single


@pytest.mark.parametrize("broken", [b'{"message": tru}', b'{"message" "x"}', b"text", b'{"a":NaN}', b'{"a":-1e999}'])
def test_a_broken_element_costs_no_other_element(broken: bytes) -> None:
    items = decode_body(b"[" + b", ".join([GOOD_JSON, broken, OTHER_JSON]) + b"]")
    assert [items.values[0], items.values[2]] == [GOOD, OTHER]
    assert isinstance(items.values[1], Unreadable)


def test_a_record_without_a_value_costs_no_other_record() -> None:
    items = decode_body(json.dumps({"records": [{"value": GOOD}, {"key": "k"}, 7, {"value": OTHER}]}).encode())
    assert [items.values[0], items.values[3]] == [GOOD, OTHER]
    assert all(isinstance(value, Unreadable) and "kafkarest" in value.sentence for value in items.values[1:3])


def test_a_broken_value_in_an_envelope_costs_no_other_record() -> None:
    body = b'{"records":[{"value":%b},{"value":{"message":tru}},{"value":%b}]}' % (GOOD_JSON, OTHER_JSON)
    items = decode_body(body)
    assert [items.values[0], items.values[2]] == [GOOD, OTHER]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_line_separator_of_unicode_inside_a_message_ends_no_line(separator: str) -> None:
    event = {**GOOD, "message": f"first{separator}second"}
    body = json.dumps(event, ensure_ascii=False).encode() + b"\n" + OTHER_JSON
    assert decode_body(body) == ([event, OTHER], False)


def test_a_broken_first_line_that_starts_with_a_bracket_costs_no_other_line() -> None:
    assert decode_body(b"[broken\n" + GOOD_JSON).values[1] == GOOD


def test_items_of_other_types_stay_where_they_are_in_a_batch() -> None:
    assert decode_body(json.dumps([1, GOOD, None, "x", [GOOD]]).encode()).values == [1, GOOD, None, "x", [GOOD]]


# --- text that is not clean -------------------------------------------------------------------------------------------


def test_invalid_utf8_is_replaced_and_the_event_kept() -> None:
    body = GOOD_JSON.replace(b"link down", b"\xff link \xc3 down\xed\xa0\x80")
    assert decode_body(body).values[0]["message"].startswith("\ufffd link \ufffd down")


def test_a_lone_surrogate_is_read_and_left_for_admit_to_replace() -> None:
    items = decode_body(rb'{"message":"a\ud800b"}')
    assert items == ([{"message": "a\ud800b"}], True)


def test_invalid_utf8_in_one_line_costs_no_other_line() -> None:
    items = decode_body(GOOD_JSON.replace(b"link", b"\xfe") + b"\n" + OTHER_JSON)
    assert items.values == [{**GOOD, "message": "\ufffd down"}, OTHER]


def test_brackets_and_quotes_inside_strings_do_not_split_an_array() -> None:
    tricky = {**GOOD, "message": 'if [x]},{" \\" ],'}
    body = b"[%b,{broken},%b]" % (json.dumps(tricky).encode(), OTHER_JSON)
    items = decode_body(body)
    assert [items.values[0], items.values[2]] == [tricky, OTHER]


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n\t",
        b"<14>Nov 10 12:00:00 edge-1 link down",
        b"\x00\x01\x02",
        b"\xff\xfe",
        b"{",
        b"[",
        b'["',
        b'{"a":',
        b"]",
        GOOD_JSON[:-1],
        b"[" + GOOD_JSON,
        b"[1,2]]",
        b"NaN",
    ],
)
def test_a_body_with_nothing_readable_in_it_is_refused(body: bytes) -> None:
    assert "JSON" in str(refusal(body))


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_body_nested_beyond_measure_is_refused(bracket: bytes, depth: int) -> None:
    refusal(bracket * depth)


def test_depth_is_limited_for_each_item_by_itself() -> None:
    deep = b"[" * (MAX_DEPTH + 2_000) + b"]" * (MAX_DEPTH + 2_000)
    items = decode_body(GOOD_JSON + b"\n" + deep + b"\n" + OTHER_JSON)
    assert [items.values[0], items.values[2]] == [GOOD, OTHER]
    assert "levels deep" in items.values[1].sentence


def test_nested_brackets_inside_a_string_are_not_depth() -> None:
    event = {**GOOD, "message": "[" * 10_000 + "\ufffd"}
    body = json.dumps(event, ensure_ascii=False).encode().replace("\ufffd".encode(), b"\xff")
    assert decode_body(body).values == [event]


@pytest.mark.parametrize("digits", ["9" * 5_000, "-" + "9" * 5_000, "1e400", "-1.5e99999"])
def test_a_number_out_of_range_costs_only_its_own_item(digits: str) -> None:
    items = decode_body(b'{"n":%b}\n%b' % (digits.encode(), GOOD_JSON))
    assert isinstance(items.values[0], Unreadable)
    assert items.values[1] == GOOD


def test_long_numbers_within_the_range_of_a_double_are_read() -> None:
    value = decode_body(b'{"n":%b, "s":"\xff"}' % (b"9" * 300)).values[0]["n"]
    assert value == pytest.approx(1e300)


def test_ten_thousand_lines_are_ten_thousand_items() -> None:
    lines = [json.dumps({**GOOD, "n": n}).encode() for n in range(10_000)]
    lines[5_000] = b"{broken"
    items = decode_body(b"\n".join(lines))
    assert len(items.values) == 10_000
    assert [n for n, value in enumerate(items.values) if isinstance(value, Unreadable)] == [5_000]


def test_one_bad_byte_in_a_long_string_costs_no_multiple_of_its_memory() -> None:
    body = b'{"message":"\xff%b"}' % (b"a" * 500_000)
    tracemalloc.start()
    try:
        decode_body(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(body)
