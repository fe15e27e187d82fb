"""The workbench for events that no rule matched: patterns with counts, samples and a draft of a rule."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec
import redis

from mutt.admin.access import Author
from mutt.admin.services.changes import Changes
from mutt.admin.shapes.rules import RuleDraft
from mutt.admin.shapes.unhandled import Ignore, IgnoredPattern, UnhandledFilter, UnhandledPage, UnhandledPattern
from mutt.errors import Reason, RequestError
from mutt.events import sample
from mutt.events.event import Event
from mutt.events.sample import Sample
from mutt.observability.metrics import WebUIMetrics, timed_scan
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.rules.suggestion import suggest
from mutt.settings import AlerterSettings
from mutt.store.changes import Operation

TABLE = "unhandled_ignored"
OTHER = "other"
OTHER_PATTERN = "(patterns beyond the first 10,000)"
SUGGESTED_PRIORITY = 100
READ_AT_ONCE = 1000


class _Ignored(msgspec.Struct):
    """Who ignores a pattern since when and why, as it lies in Redis."""

    pattern: str
    by: str
    at: datetime
    reason: str | None = None


class _Counted(NamedTuple):
    """A counter as the index names it; ``text`` is the beginning of its pattern."""

    id: str
    text: str
    events: int
    expires_ms: float | None


# Within the class, ``list`` is its method.
_Counters: TypeAlias = list[_Counted]
_Patterns: TypeAlias = list[UnhandledPattern]
_Samples: TypeAlias = list[Sample]


class Unhandled:
    """Patterns of unmatched events."""

    def __init__(self, client: redis.Redis, settings: AlerterSettings, changes: Changes, metrics: WebUIMetrics) -> None:
        self._client = client
        self._settings = settings
        self._changes = changes
        self._prefix = settings.unhandled_prefix
        self._metrics = metrics

    def list(self, wanted: UnhandledFilter, default_limit: int) -> UnhandledPage:
        """One page of the patterns, the most frequent first. Raises OutageError."""
        limit, ignored = wanted.limit or default_limit, self._ignored()
        counted = self._counted()
        if wanted.ignored:
            # A pattern stays ignored when its counter has expired.
            known = {each.id for each in counted}
            counted += [_Counted(name, each.pattern, 0, None) for name, each in ignored.items() if name not in known]
        else:
            counted = [each for each in counted if each.id not in ignored]
        q = (wanted.q or "").casefold()
        found = sorted(
            (each for each in counted if q in each.text.casefold()), key=lambda each: (-each.events, each.text)
        )
        start = (wanted.page - 1) * limit
        return UnhandledPage(
            patterns=self._views(found[start : start + limit], ignored),
            total=len(found), page=wanted.page, limit=limit, other=self._other(),
            threshold=self._settings.unhandled_threshold,
        )  # fmt: skip

    def pattern(self, pattern_id: str) -> UnhandledPattern:
        """One pattern. Raises RequestError (404) when it is neither counted nor ignored, and OutageError."""
        ignored = self._ignored()
        return self._views([self._one(pattern_id, ignored)], ignored)[0]

    def ignore(self, pattern_id: str, ignore: Ignore, author: Author) -> IgnoredPattern:
        """Ignores a pattern, or no longer. Raises RequestError (404) and OutageError."""
        ignored = self._ignored()
        one = self._one(pattern_id, ignored)
        view = self._views([one], ignored)[0]
        if view.ignored != ignore.ignored:
            self._set(view, ignored.get(pattern_id), ignore.ignored, author)
            view.ignored = ignore.ignored
        state = "is ignored now: it is counted and raises no meta-alert" if ignore.ignored else "is no longer ignored"
        return IgnoredPattern(message=f"the pattern {state}", pattern=view)

    def _set(self, view: UnhandledPattern, old: _Ignored | None, ignored: bool, author: Author) -> None:
        new = _Ignored(view.pattern, author.name, datetime.now(UTC), author.reason) if ignored else None
        operation: Operation = "CREATE" if ignored else "DELETE"
        change = self._changes.begin(author, operation, TABLE, view.id, _values(old), _values(new))
        name = keys.unhandled_ignored(self._prefix)
        with outages():
            if new is not None:
                self._client.hset(name, view.id, msgspec.json.encode(new))
            else:
                self._client.hdel(name, view.id)
        self._changes.applied(change)

    # --- reading --------------------------------------------------------------------------------------------------

    def _counted(self) -> _Counters:
        """The counters that exist."""
        with outages(), timed_scan(self._metrics):
            indexed: Any = self._client.zrange(keys.unhandled_index(self._prefix), 0, -1, withscores=True)
            counts = []
            for start in range(0, len(indexed), READ_AT_ONCE):
                counts += self._client.mget([name for name, _ in indexed[start : start + READ_AT_ONCE]])
        return [
            self._named(name.decode("utf-8", "replace"), int(count), expires_ms)
            for (name, expires_ms), count in zip(indexed, counts, strict=True)
            if count is not None
        ]

    def _named(self, counter: str, count: int, expires_ms: float) -> _Counted:
        text, _, own_id = counter.removeprefix(f"{self._prefix}:").rpartition(":")
        return _Counted(own_id, text, count, expires_ms)

    def _one(self, pattern_id: str, ignored: dict[str, _Ignored]) -> _Counted:
        if pattern_id == OTHER:
            return _Counted(OTHER, OTHER_PATTERN, self._other(), None)
        found = next((each for each in self._counted() if each.id == pattern_id), None)
        if found is None and pattern_id in ignored:
            found = _Counted(pattern_id, ignored[pattern_id].pattern, 0, None)
        if found is None:
            raise RequestError(
                Reason.NOT_FOUND, 404, f"there is no pattern {pattern_id}; its counter may have expired",
                field="pattern_id",
            )  # fmt: skip
        return found

    def _other(self) -> int:
        with outages():
            count: Any = self._client.get(keys.unhandled_other(self._prefix))
        return int(count or 0)

    def _ignored(self) -> dict[str, _Ignored]:
        with outages():
            entries: Any = self._client.hgetall(keys.unhandled_ignored(self._prefix))
        return {name.decode(): _ignored_entry(entry) for name, entry in entries.items()}

    def _views(self, counted: Iterable[_Counted], ignored: dict[str, _Ignored]) -> _Patterns:
        counted = tuple(counted)
        with outages():
            pipe = self._client.pipeline(transaction=False)
            for each in counted:
                pipe.hgetall(keys.unhandled_details(self._prefix, each.id))
            found = pipe.execute()
        return [self._view(each, details, ignored) for each, details in zip(counted, found, strict=True)]

    def _view(self, counted: _Counted, details: dict[bytes, bytes], ignored: dict[str, _Ignored]) -> UnhandledPattern:
        pattern = details.get(b"pattern", counted.text.encode()).decode("utf-8", "replace")
        source = details.get(b"source", pattern.partition(":")[0].encode()).decode("utf-8", "replace")
        samples = _samples(details)
        first_ms: bytes | float | None = details.get(b"first")
        if first_ms is None and counted.expires_ms is not None:
            first_ms = counted.expires_ms - self._settings.unhandled_expiry_seconds * 1000
        return UnhandledPattern(
            id=counted.id,
            pattern=pattern,
            source=source,
            count=counted.events,
            first_seen=_time(first_ms),
            last_seen=_time(details.get(b"last")),
            expires_at=_time(counted.expires_ms),
            ignored=counted.id in ignored,
            alerted=b"alerted" in details,
            samples=[each.message for each in samples],
            hosts=[*dict.fromkeys(each.hostname for each in samples)],
            suggestion=None if counted.id == OTHER else self._suggestion(pattern, source, samples),
        )

    def _suggestion(self, pattern: str, source: str, samples: _Samples) -> RuleDraft | None:
        """A draft of a rule that matches the samples."""
        found = suggest(pattern.removeprefix(f"{source}:"), [_event(each, source) for each in samples])
        if found is None:
            return None
        return RuleDraft(
            match_type=found.match_type,
            match_string=found.match_string,
            trap_oid=found.trap_oid,
            priority=SUGGESTED_PRIORITY,
            prod_handling="Ticket_only",
            dev_handling="Log_only",
            team_assignment=self._settings.unhandled_default_team,
        )


def _samples(details: dict[bytes, bytes]) -> _Samples:
    return [sample.decode(details[place]) for place in (b"1", b"2", b"3") if place in details]


def _event(each: Sample, source: str) -> Event:
    """The sample as the event that it was taken from, as far as rules look at it."""
    now = datetime.now(UTC)
    return Event("", "", now, now, each.hostname, each.message, source=source, trap_oid=each.trap_oid)


def _ignored_entry(entry: bytes) -> _Ignored:
    try:
        return msgspec.json.decode(entry, type=_Ignored)
    except msgspec.MsgspecError:
        # Written by hand: ignored all the same.
        return _Ignored("", "unknown", datetime.fromtimestamp(0, UTC))


def _values(entry: _Ignored | None) -> dict[str, Any] | None:
    return None if entry is None else msgspec.structs.asdict(entry)


def _time(milliseconds: bytes | float | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
