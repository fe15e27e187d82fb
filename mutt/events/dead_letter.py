"""The dead letter: a message that cannot go on, with the reason, kept for a person or for remediation."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from mutt.errors import Reason


class DeadLetter(msgspec.Struct, gc=False, omit_defaults=True):
    """One entry of a dead-letter list.

    ``payload`` is the message as it was: a JSON object, or a string when it could not be read as one. ``error`` says
    in a sentence what ``reason`` says in a word. ``attempts`` counts the failures, ``replays`` how often remediation
    has already put it back.
    """

    reason: str
    error: str
    service: str
    failed_at: datetime
    payload: Any
    attempts: int = 0
    replays: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DeadLetter)


def bury(
    message: bytes, reason: Reason, error: str, service: str, now: datetime, attempts: int = 0, replays: int = 0
) -> bytes:
    """The record of a dead letter for ``message``, ready for its list."""
    return _encoder.encode(DeadLetter(reason, error, service, now, _payload(message), attempts, replays))


def _payload(message: bytes) -> Any:
    """The message embedded as it stands when it is JSON, else as text."""
    try:
        msgspec.json.decode(message)
        return msgspec.Raw(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return message.decode("utf-8", "replace")


def exhume(record: bytes) -> DeadLetter | None:
    """The dead letter in a record, or None for bytes that are not one (somebody pushed a bare message)."""
    try:
        return _decoder.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def encode(letter: DeadLetter) -> bytes:
    return _encoder.encode(letter)


def found(record: bytes, service: str, now: datetime) -> DeadLetter:
    """The dead letter in a record; for a bare message one that says so, as ``service``'s and of this moment."""
    letter = exhume(record)
    if letter is not None:
        return letter
    return DeadLetter(Reason.UNREADABLE_MESSAGE, "found without a reason", service, now, _payload_value(record))


def _payload_value(message: bytes) -> Any:
    payload = _payload(message)
    return msgspec.json.decode(payload) if isinstance(payload, msgspec.Raw) else payload


def replays_done(letter: DeadLetter) -> int:
    """How often the message was replayed, by the letter or by what the message itself remembers."""
    count = letter.payload.get("replay_count", 0) if isinstance(letter.payload, dict) else 0
    return max(letter.replays, count if isinstance(count, int) else 0)


def due_at(letter: DeadLetter, backoff_base_seconds: float) -> datetime:
    """When remediation replays the letter: the base times the number of the replay after it failed."""
    return letter.failed_at + timedelta(seconds=backoff_base_seconds * (replays_done(letter) + 1))


def message_for_replay(letter: DeadLetter) -> bytes | None:
    """The message as it goes back to its queue, None when it is no JSON object and would fail the same way again.

    It starts its retries anew and remembers one replay more. A parked event has not failed: it goes back as it was.
    """
    if letter.reason == Reason.SHED:
        return _encoder.encode(letter.payload) if isinstance(letter.payload, dict) else str(letter.payload).encode()
    if not isinstance(letter.payload, dict):
        return None
    return _encoder.encode({**letter.payload, "replay_count": replays_done(letter) + 1, "retry_count": 0})
