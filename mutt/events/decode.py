"""From the bytes of a request to its items: one JSON object, a JSON array, NDJSON or a kafkarest envelope.

A strict and fast decoder takes what is plain JSON. Only when it refuses are the items parsed one by one, leniently
about text (invalid UTF-8, lone surrogates: relays forward what devices send) and never about structure, so that a
bad item in a batch does not cost the good ones.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from mutt.errors import EventError, Reason

MAX_DEPTH = 64
"""Deepest nesting of an item that is parsed leniently; PostgreSQL and we would take more, no source needs it."""

_strict = msgspec.json.Decoder()
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Unreadable(NamedTuple):
    """An item of a batch that is not JSON: its bytes as text and the sentence that says why."""

    text: str
    sentence: str


class Items(NamedTuple):
    """What a body holds. ``single`` is true when it was one object by itself, which is answered differently."""

    values: list[Any]
    single: bool


def decode_body(body: bytes) -> Items:
    """The items of a request body. Raises EventError(NOT_JSON) when nothing in it is JSON."""
    if not body.strip():
        raise EventError(Reason.NOT_JSON, "the body is empty; send a JSON object, a JSON array or one object a line")
    try:
        return _items(_strict.decode(body))
    except _MALFORMED:
        return _decode_leniently(body)


def _items(document: Any) -> Items:
    if isinstance(document, list):
        return Items(document, single=False)
    if isinstance(document, dict) and "message" not in document and isinstance(document.get("records"), list):
        return Items([_kafkarest_value(record) for record in document["records"]], single=False)
    return Items([document], single=True)


def _kafkarest_value(record: Any) -> Any:
    if isinstance(record, dict) and "value" in record:
        return record["value"]
    return Unreadable(str(record)[:200], 'a record of a kafkarest envelope must be {"value": {...}}')


def _decode_leniently(body: bytes) -> Items:
    text = body.decode("utf-8", "replace").lstrip("\ufeff").strip()
    try:
        return _items(_loads(text))
    except ValueError as error:
        whole = error
    values = _salvage(text)
    if not any(isinstance(value, dict) for value in values):
        raise EventError(Reason.NOT_JSON, f"the body cannot be read as JSON: {whole}")
    # A single object followed by blank lines is still a single object.
    return Items(values, single=len(values) == 1 and not text.startswith("["))


_ENVELOPE = re.compile(r'\{\s*"records"\s*:\s*(?=\[)')


def _salvage(text: str) -> list[Any]:
    """The items of a body that is not JSON as a whole: an array or an envelope when it ends like one, else lines."""
    envelope = _ENVELOPE.match(text)
    try:
        if envelope and text.endswith("}"):
            return [_salvaged_record(piece) for piece in _array_elements(text[envelope.end() : -1])]
        if text.startswith("["):
            return [_piece(piece) for piece in _array_elements(text) if piece.strip()]
    except EventError:
        pass  # Not an array after all; its lines may still be events.
    # Only a newline ends a line: U+2028 and U+0085 may stand in a message.
    return [_piece(line) for line in text.split("\n") if line.strip()]


def _salvaged_record(piece: str) -> Any:
    record = _piece(piece)
    return record if isinstance(record, Unreadable) else _kafkarest_value(record)


def _piece(piece: str) -> Any:
    try:
        return _strict.decode(piece)
    except (*_MALFORMED, UnicodeEncodeError):
        pass
    try:
        return _loads(piece)
    except ValueError as error:
        return Unreadable(piece, f"not JSON: {error}")


def _loads(text: str) -> Any:
    """Python's own parser, which keeps lone surrogates, kept from what is not JSON or not bounded."""
    if _deeper_than(text, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return json.loads(text, parse_constant=_refuse_constant, parse_int=_bounded_int, parse_float=_bounded_float)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _bounded_int(digits: str) -> int | float:
    # Python refuses to read very long integers, and what does not fit a double is out of range for everybody.
    return int(digits) if len(digits) <= 40 else _bounded_float(digits)


def _bounded_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:20]}... is out of range")
    return value


_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
"""Strings (to be passed over) and the characters that give JSON its structure."""


def _deeper_than(text: str, limit: int) -> bool:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        character = match.group()
        if character in "[{":
            depth += 1
            if depth > limit:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _array_elements(text: str) -> Iterator[str]:
    """The elements of a JSON array as text, found by counting brackets. Raises EventError when it does not end."""
    depth, start, end = 0, 1, None
    for match in _STRUCTURE.finditer(text):
        character = match.group()
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if depth == 0:
                end = match.start()
                break
        elif character == "," and depth == 1:
            yield text[start : match.start()]
            start = match.end()
    if end is None or text[end:].strip() != "]":
        raise EventError(Reason.NOT_JSON, "the body is not JSON: the array does not end where the body ends")
    yield text[start:end]
