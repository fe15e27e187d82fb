"""How pages write times, numbers and JSON: the filters of the templates."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")

HANDLING_TONES = {"Page_and_ticket": "bad", "Ticket_only": "warn", "Email_only": "info"}

STATE_TONES = {
    "ok": "good", "warning": "warn", "critical": "bad", "failed": "bad",
    "settled": "good", "delivered": "good", "decided": "good", "waiting": "info", "queued": "info", "pending": "warn",
    "retrying": "warn", "retry": "warn", "dead_letter": "bad", "dead_lettered": "bad", "applied": "good",
    "CLOSED": "good", "OPEN": "bad", "HALF_OPEN": "warn", "CREATE": "good", "UPDATE": "info", "DELETE": "bad",
    "create": "good", "update": "info", "delete": "bad",
    "shadowed": "warn", "duplicate": "warn", "unusable": "bad", "unused": "info",
}  # fmt: skip


def utc(moment: datetime | float) -> datetime:
    """The moment in UTC; a number is Unix time."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.fromtimestamp(moment, UTC)


def clock(moment: datetime | float) -> str:
    return utc(moment).strftime("%Y-%m-%d %H:%M:%S")


def iso(moment: datetime | float) -> str:
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """How long that is, in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def number(value: float | None) -> str:
    """With thousands apart; nothing known is a dash."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def pretty(value: Any) -> str:
    """JSON for people."""
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False)


def brief(value: Any) -> str:
    """A value of a record on one line."""
    return value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def differences(old: Any, new: Any) -> list[tuple[str, Any, Any, bool]]:
    """Each member of two records: its name, its old and new value, and whether it changed."""
    before = old if isinstance(old, dict) else {} if old is None else {"value": old}
    after = new if isinstance(new, dict) else {} if new is None else {"value": new}
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name), after.get(name), before.get(name) != after.get(name)) for name in names]


def severity(value: int | None) -> str:
    if value is None:
        return "none"
    return f"{value} {SEVERITIES[value]}" if 0 <= value < len(SEVERITIES) else str(value)


def severity_tone(value: int | None) -> str:
    if value is None or value > 5:
        return ""
    return "bad" if value <= 3 else "warn" if value == 4 else "info"


def handling_tone(handling: str) -> str:
    return HANDLING_TONES.get(handling, "")


def tone(state: str) -> str:
    return STATE_TONES.get(state, "")


def with_query(path: str, parameters: dict[str, Any], **changes: Any) -> str:
    """The path with these parameters in its query; those without a value are left out."""
    merged = {name: value for name, value in {**parameters, **changes}.items() if value not in ("", None)}
    return f"{path}?{urlencode(merged, doseq=True)}" if merged else path


FILTERS = {
    each.__name__: each
    for each in (clock, iso, duration, number, pretty, brief, severity, severity_tone, handling_tone, tone)
}
