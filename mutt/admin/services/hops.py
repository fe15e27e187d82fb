"""The steps of a journey, each in a sentence for somebody who was just woken up."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mutt.admin.services.sightings import Place, Sighting
from mutt.admin.shapes.events import AuditedEvent, Delivery, Hop
from mutt.errors import Reason
from mutt.rules.rule import FORWARDED

ODD_CLOCK_SECONDS = 60
SHOWN_MESSAGE = 200

WHY = {
    "connection": "no answer came",
    "timeout": "no answer came in time",
    "server_error": "Moogsoft failed",
    "unauthorized": "Moogsoft refused our key",
    "too_many_requests": "Moogsoft asked us to slow down",
    "client_error": "Moogsoft refused the alert itself",
    "redirect": "Moogsoft answered with a redirect, which is not followed",
    "bad_answer": "the answer was none that HTTP knows",
}


def of_event(event: AuditedEvent, rule: dict[str, Any] | None) -> list[Hop]:
    """Received, decided and, when there is something to deliver, queued."""
    hops = [received(event), Hop(name="decided", at=event.created_at, sentence=_decision(event, rule))]
    if event.handling in FORWARDED:
        hops.append(Hop(name="queued", at=event.created_at, sentence="Its alert was queued for Moogsoft."))
    return hops


def received(event: AuditedEvent) -> Hop:
    sentence = f"Ingest accepted it from {event.hostname}."
    ahead = (event.event_timestamp - event.ingestion_timestamp).total_seconds()
    if abs(ahead) > ODD_CLOCK_SECONDS:
        direction = "ahead of" if ahead > 0 else "behind"
        sentence += f" Its own time is {clock(event.event_timestamp)}, {span(abs(ahead))} {direction} ours."
    return Hop(name="received", at=event.ingestion_timestamp, sentence=sentence)


def _decision(event: AuditedEvent, rule: dict[str, Any] | None) -> str:
    if event.rule_id is None:
        return f"No rule matched, so it was counted as unhandled: {event.handling}."
    team = f" for team {event.team_assignment}" if event.team_assignment else ""
    decision = f"Rule {event.rule_id} decided {event.handling}{team}"
    if rule is None:
        return f"{decision}. The rule does not exist any more."
    changed = rule["updated_at"] > event.created_at
    return f"{decision}: {_conditions(rule)}.{' The rule was changed since then.' if changed else ''}"


def _conditions(rule: dict[str, Any]) -> str:
    parts = []
    if rule["match_string"] is not None:
        how = "matches" if rule["match_type"] == "regex" else "contains"
        parts.append(f"the message {how} {rule['match_string']!r}")
    if rule["trap_oid"] is not None:
        parts.append(f"the trap is below {rule['trap_oid']}")
    if rule["syslog_severity"] is not None:
        parts.append(f"the severity is {rule['syslog_severity']} or more severe")
    return f"{' and '.join(parts)} (priority {rule['priority']})"


def of_delivery(delivery: Delivery) -> Hop:
    """One attempt."""
    number, outcome = delivery.attempt, delivery.outcome
    if outcome == "delivered":
        sentence = f"Attempt {number}: Moogsoft took it{_answer(delivery)}."
        return Hop(name="delivered", at=delivery.attempted_at, sentence=sentence)
    if delivery.reason is None and delivery.status_code is None:
        sentence = f"Attempt {number} was put off before anything was sent."
        return Hop(name="attempt", at=delivery.attempted_at, sentence=sentence)
    why = WHY.get(delivery.reason or "", delivery.reason or "it failed")
    then = "given up" if outcome == "dead_letter" else "to be tried again"
    sentence = f"Attempt {number}: {why}{_answer(delivery)}; {then}."
    return Hop(name="attempt", at=delivery.attempted_at, sentence=sentence)


def _answer(delivery: Delivery) -> str:
    status = [] if delivery.status_code is None else [f"HTTP {delivery.status_code}"]
    latency = [] if delivery.latency_ms is None else [f"{delivery.latency_ms:.0f} ms"]
    return f" ({', '.join(status + latency)})" if status or latency else ""


def of_sighting(sighting: Sighting, depth: int, circuit_is_open: bool) -> Hop:
    """Where a message is now; for a dead letter also when and why it died."""
    if sighting.letter is not None:
        return _of_letter(sighting)
    if sighting.place is Place.INGEST_QUEUE:
        return Hop(name="waiting", at=None, sentence=f"It waits for an alerter; {depth:,} wait in the ingest queue.")
    if sighting.place is Place.ALERT_QUEUE:
        why = " The circuit is open: Moogsoft did not answer." if circuit_is_open else ""
        sentence = f"Its alert waits for a forwarder; {depth:,} wait in the alert queue.{why}"
        return Hop(name="waiting", at=None, sentence=sentence)
    failures = sighting.item.get("retry_count", 0)
    what = "Its audit row could not be written" if sighting.place is Place.ALERTER_RETRY else "Its delivery failed"
    sentence = f"{what} {failures} time{'' if failures == 1 else 's'}; the next try is due at {clock(sighting.due_at)}."
    return Hop(name="retrying", at=sighting.due_at, sentence=sentence)


def _of_letter(sighting: Sighting) -> Hop:
    letter = sighting.letter
    assert letter is not None  # noqa: S101 - the caller has looked
    if letter.reason == Reason.SHED:
        sentence = "Parked while the alert queue was too deep; it comes back by itself."
        return Hop(name="parked", at=letter.failed_at, sentence=sentence)
    then = "Its replays are used up: only a person brings it back. " if sighting.place is Place.POISON else ""
    replays = f" It was replayed {letter.replays} times." if letter.replays else ""
    sentence = f"Dead letter ({letter.reason}): {letter.error}. {then}It lies in {sighting.place}.{replays}"
    return Hop(name="dead_lettered", at=letter.failed_at, sentence=sentence)


def of_item(item: dict[str, Any]) -> list[Hop]:
    """The beginning of a journey that has no audit row, from the message itself."""
    if "unhandled" in item:
        return [raised(str(item.get("event_id", "")))]
    host, message = item.get("hostname", "an unknown host"), str(item.get("message", ""))[:SHOWN_MESSAGE]
    return [Hop(name="received", at=_time(item.get("ingestion_timestamp")), sentence=f"It came from {host}: {message}")]


def raised(event_id: str) -> Hop:
    """The beginning of a meta-alert; its id holds the time."""
    sentence = "MUTT raised this alert itself: many events of one pattern matched no rule."
    return Hop(name="raised", at=_time_of_id(event_id), sentence=sentence)


def with_spans(hops: list[Hop]) -> list[Hop]:
    """The hops with the seconds since the one before, where both have a time."""
    before: datetime | None = None
    for hop in hops:
        if hop.at is not None:
            if before is not None:
                hop.seconds_since_previous = round((hop.at - before).total_seconds(), 3)
            before = hop.at
    return hops


def clock(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """A time span in the largest unit that fits."""
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def _time_of_id(event_id: str) -> datetime | None:
    """When a time-ordered UUID was made."""
    try:
        identity = UUID(event_id)
    except ValueError:
        return None
    return datetime.fromtimestamp((identity.int >> 80) / 1000, UTC) if identity.version == 7 else None
