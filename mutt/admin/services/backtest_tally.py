"""What a backtest counts: two decisions about each event, side by side."""

from collections.abc import Collection, Iterable

import msgspec

from mutt.admin.shapes.rules import BacktestGroup, BacktestProgress, BacktestSample
from mutt.events.event import Event
from mutt.rules.decision import Decision, decide
from mutt.rules.rule import Handling, Snapshot
from mutt.store.backtest import AuditedEvent

GROUPS = ("newly_page", "stop_paging", "newly_forward", "stop_forwarding", "change_team", "change_handling")

SAMPLE_CHARACTERS = 500
"""Of a message; more does not help to recognise the event."""


class Tally:
    """Counts what two snapshots, ``now`` and ``then``, decide about events. Every group keeps its first ``samples``.

    ``drafts`` are the rule ids of what is tried.
    """

    def __init__(self, now: Snapshot, then: Snapshot, drafts: Collection[int], samples: int) -> None:
        self._now, self._then = now, then
        self._drafts = drafts
        self._samples = samples
        self._counts = BacktestProgress(done=False, events=0, of=0, seconds=0)

    def add(self, batch: Iterable[AuditedEvent]) -> None:
        """Judges a batch of events. It is all computation: a native thread is the place for it."""
        counts, drafts, page = self._counts, self._drafts, Handling.PAGE_AND_TICKET
        for at, _id, correlation_id, hostname, message, severity, trap_oid in batch:
            event = Event("", correlation_id, at, at, hostname, message, None, severity, trap_oid)
            now, then = decide(event, self._now), decide(event, self._then)
            counts.events += 1
            counts.pages_now += now.handling is page
            counts.pages_then += then.handling is page
            counts.forwards_now += now.forward
            counts.forwards_then += then.forward
            counts.matched += then.rule_id in drafts
            if now.handling is then.handling and now.team == then.team:
                counts.unchanged += 1
            else:
                self._sort(event, now, then)

    def progress(self, of: int, seconds: float, cut_short: bool, done: bool) -> BacktestProgress:
        """A copy of the figures as they stand."""
        groups = {name: getattr(self._counts, name) for name in GROUPS}
        return msgspec.structs.replace(
            self._counts, done=done, of=of, seconds=round(seconds, 3), cut_short=cut_short,
            **{name: BacktestGroup(count=group.count, samples=[*group.samples]) for name, group in groups.items()},
        )  # fmt: skip

    def _sort(self, event: Event, now: Decision, then: Decision) -> None:
        """Puts an event about which the two differ into every group that it belongs to."""
        pages_now, pages_then = (each.handling is Handling.PAGE_AND_TICKET for each in (now, then))
        belongs = (
            pages_then and not pages_now,
            pages_now and not pages_then,
            then.forward and not now.forward,
            now.forward and not then.forward,
            now.team != then.team,
            now.handling is not then.handling,
        )
        for name, belonging in zip(GROUPS, belongs, strict=True):
            if belonging:
                group: BacktestGroup = getattr(self._counts, name)
                group.count += 1
                if len(group.samples) < self._samples:
                    group.samples.append(_sample(event, now, then))


def _sample(event: Event, now: Decision, then: Decision) -> BacktestSample:
    return BacktestSample(
        event_timestamp=event.timestamp,
        hostname=event.hostname,
        message=event.message[:SAMPLE_CHARACTERS],
        correlation_id=event.correlation_id,
        handling_now=now.handling,
        handling_then=then.handling,
        team_now=now.team,
        team_then=then.team,
        rule_now=now.rule_id,
        rule_then=then.rule_id,
    )
