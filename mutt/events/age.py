"""How old a message is, whatever lies in the list: an event, an alert or a dead letter."""

from datetime import datetime

import msgspec


class _Times(msgspec.Struct):
    ingestion_timestamp: datetime | None = None
    failed_at: datetime | None = None


_decoder = msgspec.json.Decoder(_Times)


def age_seconds(record: bytes | None, now: datetime) -> float | None:
    """Seconds since the message was accepted (or failed, for a dead letter); None for none,
    and for one that does not say.
    """
    if record is None:
        return None
    try:
        times = _decoder.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    moment = times.failed_at or times.ingestion_timestamp
    return None if moment is None else max(0.0, (now - _aware(moment, now)).total_seconds())


def _aware(moment: datetime, now: datetime) -> datetime:
    """Somebody may have pushed a message by hand whose time has no offset; it is UTC, as at ingest."""
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
