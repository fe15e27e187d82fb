"""Times in queries: a date or a time, with an offset or in UTC."""

import re
from datetime import UTC, datetime, timedelta

from mutt.errors import Reason, RequestError

LONGEST_DATE = len("2025-11-30")

_PLUS_AS_SPACE = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
"""A + that was not written as %2B in a query arrives as a space."""


def interval(start_date: str | None, end_date: str | None) -> tuple[datetime | None, datetime | None]:
    """(start, end) of which the end is not included, None where there is no bound. A date at the end counts whole.

    Raises RequestError (400) naming the field.
    """
    start, end = _moment(start_date, "start_date"), _moment_after(end_date, "end_date")
    if start is not None and end is not None and start >= end:
        raise RequestError(Reason.INVALID_FIELD, 400, "end_date: it is before start_date", field="end_date")
    return start, end


def _moment(text: str | None, field: str) -> datetime | None:
    """The time, or the beginning of the date."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        found = datetime.fromisoformat(_PLUS_AS_SPACE.sub(r"\1+\2", text))
    except ValueError as error:
        raise RequestError(
            Reason.INVALID_FIELD,
            400,
            f"{field}: {text!r} is neither a date such as 2025-11-30 nor a time such as 2025-11-30T13:45:00Z",
            field=field,
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _moment_after(text: str | None, field: str) -> datetime | None:
    """The first moment past the time, or past the whole date."""
    found = _moment(text, field)
    if found is None or text is None:
        return None
    try:
        return found + (timedelta(days=1) if len(text.strip()) <= LONGEST_DATE else timedelta(microseconds=1))
    except OverflowError:
        return None  # The last day of the calendar: there is nothing behind it.
