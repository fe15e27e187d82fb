"""Rules that want a look: hidden by others, stored twice, not usable, or without a single hit for weeks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import gevent
import redis

from mutt.admin.services.rule_values import judged
from mutt.admin.shapes.rules import Hygiene, RuleFinding
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.rules.rule import Snapshot, build_snapshot
from mutt.rules.shadowing import hidden_rules
from mutt.store.pool import Database
from mutt.store.rules import StoredRule, load_stored


class RuleHygiene:
    """Looks through the active rules."""

    def __init__(self, database: Database, client: redis.Redis) -> None:
        self._database = database
        self._client = client

    def look(self, days: int) -> Hygiene:
        """The findings, in the order in which the rules are tried, at most one a rule: the one that explains most.

        A rule that was made or changed within ``days`` is not called unused. Raises OutageError.
        """
        stored, _hosts, _teams = load_stored(self._database)
        active = [row for row in stored if row.is_active]
        now = datetime.now(UTC)
        # Thousands of rules take seconds to compare; the other requests must not wait for it.
        findings = gevent.get_hub().threadpool.apply(_of_conditions, (active,))
        for finding in _unused(active, self._hit(now, days), now, days):
            findings.setdefault(finding.rule_id, finding)
        return Hygiene(findings=[findings[row.id] for row in active if row.id in findings], days=days)

    def _hit(self, now: datetime, days: int) -> set[int]:
        """Ids of the rules that decided an event today or on one of the ``days`` before."""
        with outages():
            pipe = self._client.pipeline(transaction=False)
            for age in range(days + 1):
                pipe.hkeys(keys.rule_hits((now - timedelta(days=age)).strftime("%Y%m%d")))
            return {int(rule_id) for day in pipe.execute() for rule_id in day}


def _of_conditions(active: list[StoredRule]) -> dict[int, RuleFinding]:
    """What can be told from the rules alone, by rule id."""
    snapshot = build_snapshot(judged(row.id, row.values) for row in active)
    found = {
        rule_id: RuleFinding(rule_id=rule_id, kind="unusable", sentence=f"The rule is skipped: {problem}.")
        for rule_id, problem in snapshot.unusable.items()
    }
    return found | {finding.rule_id: finding for finding in _hidden(snapshot)}


def _hidden(snapshot: Snapshot) -> Iterator[RuleFinding]:
    for hidden in hidden_rules(snapshot):
        rule, by = hidden.rule.rule, hidden.by.rule
        kind: Literal["duplicate", "shadowed"] = "duplicate" if hidden.equal else "shadowed"
        matches = "the same events" if hidden.equal else "every event that this rule matches"
        first = "its priority is higher" if by.priority > rule.priority else "its id is lower"
        sentence = f"No event reaches this rule: rule {by.id} matches {matches} and is tried first, as {first}."
        yield RuleFinding(rule_id=rule.id, kind=kind, sentence=sentence, by=by.id)


def _unused(active: list[StoredRule], hit: set[int], now: datetime, days: int) -> Iterator[RuleFinding]:
    for row in active:
        if row.id not in hit and row.updated_at < now - timedelta(days=days):
            sentence = f"The rule has decided no event in the last {days} days."
            yield RuleFinding(rule_id=row.id, kind="unused", sentence=sentence)
