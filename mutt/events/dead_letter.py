"""The dead letter: a message that cannot go on, with the reason, kept for a person or for remediation."""

from datetime import datetime
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
