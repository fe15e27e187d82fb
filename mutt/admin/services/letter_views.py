"""Dead letters as the API and the dashboard show them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from mutt.admin.services.replaying import SERVICES, inner
from mutt.admin.shapes.dead_letters import Letter, LetterGroup
from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.queues.letters import letter_id
from mutt.settings import RemediationSettings

SHOWN_CHARACTERS = 500
"""Of a message in a list."""


class _Glance(msgspec.Struct):
    """What grouping needs of a letter: its payload stays unread."""

    reason: str
    error: str
    failed_at: datetime


_glances = msgspec.json.Decoder(_Glance)


def group(records: Iterable[bytes]) -> tuple[list[LetterGroup], int]:
    """The letters by reason, the most frequent first, and how many were looked at."""
    groups: dict[str, LetterGroup] = {}
    looked_at = 0
    for record in records:
        looked_at += 1
        reason, error, failed_at = _glance(record)
        found = groups.get(reason)
        if found is None:
            groups[reason] = LetterGroup(
                reason=reason, count=1, oldest=failed_at, newest=failed_at, sample_error=error[:SHOWN_CHARACTERS],
                sample_id=letter_id(record), sample_host=_hostname(record),
            )  # fmt: skip
            continue
        found.count += 1
        if failed_at is not None:
            found.oldest = min(found.oldest or failed_at, failed_at)
            found.newest = max(found.newest or failed_at, failed_at)
    return sorted(groups.values(), key=lambda each: (-each.count, each.reason)), looked_at


def reason_of(record: bytes) -> str:
    """The reason that the letter is grouped by."""
    return _glance(record)[0]


def view(name: str, record: bytes, remediation: RemediationSettings, payload: bool, whole: bool = False) -> Letter:
    """One letter of the list ``name``; with ``whole`` its message is not cut."""
    letter = dead_letter.found(record, SERVICES.get(name, ""), datetime.now(UTC))
    bare = dead_letter.exhume(record) is None
    message = inner(letter).payload
    text = _text(message, "message") if isinstance(message, dict) else str(message)
    return Letter(
        id=letter_id(record),
        reason=letter.reason,
        error=letter.error,
        service=letter.service,
        failed_at=None if bare else letter.failed_at,
        attempts=letter.attempts,
        replays=dead_letter.replays_done(letter),
        hostname=_text(message, "hostname"),
        message=text if whole or text is None else text[:SHOWN_CHARACTERS],
        correlation_id=_text(message, "correlation_id"),
        due_at=None if bare else _due_at(name, letter, remediation),
        payload=letter.payload if payload else None,
    )


def _due_at(name: str, letter: DeadLetter, remediation: RemediationSettings) -> datetime | None:
    """When remediation replays it. A parked event waits for calm, and what is or will be poison for a person."""
    if name not in ("alerter", "moog") or letter.reason == Reason.SHED or not isinstance(letter.payload, dict):
        return None
    if dead_letter.replays_done(letter) >= remediation.max_retries:
        return None
    return dead_letter.due_at(letter, remediation.backoff_base_seconds)


def _glance(record: bytes) -> tuple[str, str, datetime | None]:
    try:
        glance = _glances.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Reason.UNREADABLE_MESSAGE, "found without a reason", None
    return glance.reason, glance.error, glance.failed_at


def _hostname(record: bytes) -> str | None:
    return _text(inner(dead_letter.found(record, "", datetime.now(UTC))).payload, "hostname")


def _text(message: Any, field: str) -> str | None:
    value = message.get(field) if isinstance(message, dict) else None
    return value if isinstance(value, str) else None
