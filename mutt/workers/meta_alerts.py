"""What SETTLE learns of events that no rule matched: counts, samples, and the meta-alert that tells a team."""

from collections.abc import Sequence
from datetime import UTC, datetime

from mutt.events import alert, sample
from mutt.events.alert import Alert
from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.queues.reliable import UnhandledCounts, UnmatchedPattern
from mutt.redisdb import keys
from mutt.rules.decision import PRODUCTION
from mutt.rules.pattern import MAX_PATTERN, signature
from mutt.rules.rule import Handling
from mutt.settings import AlerterSettings

MOST_PATTERNS = 10_000
SAMPLE_LIMIT = 1024
HOSTNAME = "mutt"
_OTHER = "(patterns beyond the first 10,000)"
_COUNT = b'"count":0'
"""How the count stands in the encoded alert until SETTLE fills it in; inside texts quotes are escaped: it is unique."""


class MetaAlerts:
    """Counts unmatched events by pattern, each with the meta-alert it raises at the threshold."""

    def __init__(self, settings: AlerterSettings, alert_queue: str) -> None:
        self._settings = settings
        self._alert_queue = alert_queue
        self._ids = IdSource()

    def counts(self, unmatched: Sequence[tuple[str, Event]]) -> UnhandledCounts:
        """What SETTLE shall count for these (pattern, event) pairs of one batch."""
        by_pattern: dict[str, list[Event]] = {}
        for pattern, event in unmatched:
            by_pattern.setdefault(pattern, []).append(event)
        prefix = self._settings.unhandled_prefix
        return UnhandledCounts(
            other=keys.unhandled_other(prefix),
            index=keys.unhandled_index(prefix),
            alert_queue=self._alert_queue,
            ignored=keys.unhandled_ignored(prefix),
            threshold=self._settings.unhandled_threshold,
            expiry_seconds=self._settings.unhandled_expiry_seconds,
            most_patterns=MOST_PATTERNS,
            other_alert=self._alert(_OTHER, "") if by_pattern else (b"", b""),
            patterns=[self._counted(pattern, events) for pattern, events in by_pattern.items()],
        )

    def _counted(self, pattern: str, events: Sequence[Event]) -> UnmatchedPattern:
        prefix = self._settings.unhandled_prefix
        return UnmatchedPattern(
            counter=keys.unhandled(prefix, pattern),
            details=keys.unhandled_details(prefix, keys.unhandled_id(pattern)),
            events=len(events),
            alert=self._alert(pattern, events[-1].message),
            pattern=pattern,
            source=events[0].source or "unknown",
            samples=sample.pick(events),
        )

    def _alert(self, pattern: str, sample: str) -> tuple[bytes, bytes]:
        """The meta-alert in two halves, between which the count belongs."""
        now, own_id = datetime.now(UTC), self._ids.take()
        shown = pattern[:MAX_PATTERN]
        head, _, tail = alert.encode(
            Alert(
                event_id=own_id,
                correlation_id=own_id,
                timestamp=now,
                ingestion_timestamp=now,
                hostname=HOSTNAME,
                message=f"{self._settings.unhandled_threshold} events or more that no rule matches: {shown}; "
                f"for example: {sample[:SAMPLE_LIMIT]}",
                signature=signature(HOSTNAME, None, None, pattern),
                handling=Handling.TICKET_ONLY,
                team_assignment=self._settings.unhandled_default_team,
                environment=PRODUCTION,
                source=HOSTNAME,
                syslog_severity=4,
                unhandled={"pattern": shown, "sample": sample[:SAMPLE_LIMIT], "count": 0},
            )
        ).partition(_COUNT)
        return head + _COUNT[:-1], tail
