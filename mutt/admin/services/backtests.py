"""Backtests: what other rules would have done with the events of the audit log."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from mutt.admin.services.backtest_tally import Tally
from mutt.admin.services.rule_tests import DRAFT_ID, with_draft
from mutt.admin.services.rule_values import demand_valid, judged, values_of
from mutt.admin.shapes.rules import BacktestProgress, BacktestRequest, RuleDraft
from mutt.errors import Reason, RequestError
from mutt.rules.rule import Rule, Snapshot, build_snapshot
from mutt.store import backtest
from mutt.store.pool import Database
from mutt.store.rules import StoredRule, load_stored

AT_ONCE = 2
"""Backtests in one process; each keeps a processor busy."""

BATCH = 10_000
"""Events in memory at a time: a fifth of a second's work, so that a caller who has left is noticed soon."""

PROGRESS_SECONDS = 0.5


class _Trial(NamedTuple):
    """The rules of today and the tried ones, of which ``drafts`` come from the request."""

    now: Snapshot
    then: Snapshot
    drafts: frozenset[int]


class Backtests:
    """Runs backtests, a few at once. Make it where the greenlets run, like a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._free = BoundedSemaphore(AT_ONCE)
        # Matching is nothing but computation. In a native thread it shares the processor with the greenlets.
        self._threads = ThreadPool(AT_ONCE)

    def run(self, request: BacktestRequest) -> Iterator[BacktestProgress]:
        """Where the backtest is, about twice a second, and at last the result, which has ``done``.

        "now" is what the stored, active rules decide about an event today, not what the audit row says was decided
        when it came; "then" is what the tried rules would decide. Hosts and teams are those of today for both, and
        the decision is the one that the alerter makes. The work is done while the iterator is read: whoever drops
        it stops the backtest. Raises RequestError and OutageError, most of them before the first step.
        """
        start, end = _times(request)
        trial = self._trial(request)
        if not self._free.acquire(blocking=False):
            raise RequestError(
                Reason.CONFLICT, 409, f"{AT_ONCE} backtests are running already; try again when one of them is done"
            )
        steps = self._steps(request, trial, start, end)
        # Only a generator that was begun gives its place back when it is dropped; and what fails here fails before
        # an answer has begun.
        return chain([next(steps)], steps)

    def _steps(
        self, request: BacktestRequest, trial: _Trial, start: datetime, end: datetime
    ) -> Iterator[BacktestProgress]:
        try:
            begun = reported = time.monotonic()
            counted = backtest.count(self._database, start, end, request.most_events + 1)
            of, cut_short = min(counted, request.most_events), counted > request.most_events
            now, then = (self._threads.apply(each.indexed) for each in (trial.now, trial.then))
            tally = Tally(now, then, trial.drafts, request.samples)
            yield tally.progress(of, time.monotonic() - begun, cut_short, done=False)
            for batch in backtest.batches(self._database, start, end, of, BATCH):
                self._threads.apply(tally.add, (batch,))
                if time.monotonic() - reported >= PROGRESS_SECONDS:
                    reported = time.monotonic()
                    yield tally.progress(of, reported - begun, cut_short, done=False)
            yield tally.progress(of, time.monotonic() - begun, cut_short, done=True)
        finally:
            self._free.release()

    def _trial(self, request: BacktestRequest) -> _Trial:
        stored, hosts, teams = load_stored(self._database)
        _check_what_to_try(request, stored)
        now = [judged(row.id, row.values) for row in stored if row.is_active]
        if request.rules is not None:
            then = _whole_set(request.rules)
            drafts = frozenset(rule.id for rule in then)
            return _Trial(build_snapshot(now, hosts, teams), build_snapshot(then, hosts, teams), drafts)
        if request.rule is not None:
            tried = with_draft(now, hosts, teams, request.rule, request.rule_id)
            return _Trial(build_snapshot(now, hosts, teams), tried, frozenset([request.rule_id or DRAFT_ID]))
        left = [rule for rule in now if rule.id != request.rule_id]
        return _Trial(build_snapshot(now, hosts, teams), build_snapshot(left, hosts, teams), frozenset())


def _times(request: BacktestRequest) -> tuple[datetime, datetime]:
    start, end = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in (request.start, request.end))
    if start >= end:
        raise _refusal("end", "it must be later than start")
    return start, end


def _check_what_to_try(request: BacktestRequest, stored: Sequence[StoredRule]) -> None:
    if [request.rule is not None, request.rules is not None, request.remove].count(True) != 1:
        raise _refusal("rule", "say what to try: either rule, or rules, or remove with a rule_id")
    if request.rule_id is None and request.remove:
        raise _refusal("rule_id", "it says which rule to remove, and is missing")
    if request.rule_id is not None and request.rules is not None:
        raise _refusal("rule_id", "it has no meaning with rules, which replace all")
    if request.rule_id is not None and request.rule_id not in {row.id for row in stored}:
        raise RequestError(Reason.NOT_FOUND, 404, f"there is no rule {request.rule_id}", field="rule_id")


def _refusal(field: str, sentence: str) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, 400, f"{field}: {sentence}", field=field)


def _whole_set(drafts: Sequence[RuleDraft]) -> list[Rule]:
    """The active ones of the drafts, each with its place, counted from 1, for an id."""
    rules = []
    for place, draft in enumerate(drafts, 1):
        values = values_of(draft)
        demand_valid(values, f"rules[{place - 1}].")
        if values.is_active:
            rules.append(judged(place, values))
    return rules
