"""Rules, one by one: listed, made, changed and switched off, each change with its row in the configuration audit."""

from collections.abc import Sequence
from typing import Any

import redis
from msgspec import UNSET

from mutt.admin.access import Author
from mutt.admin.etags import demand_match, etag_of
from mutt.admin.services.changes import publish_reload, record
from mutt.admin.services.rule_hits import Hits, read_hits
from mutt.admin.services.rule_values import demand_storable, demand_valid, judged, values_of
from mutt.admin.shapes.rules import Rule, RuleChanges, RuleDraft, RuleFilter, RulePage
from mutt.errors import Reason, RequestError
from mutt.events.admit import storable
from mutt.rules.rule import CompiledRule, UnusableRuleError
from mutt.store import rules
from mutt.store.changes import Operation
from mutt.store.connections import Connection
from mutt.store.pool import Database
from mutt.store.rules import RuleValues, StoredRule

TABLE = "alert_rules"


class Rules:
    """A change is committed with its audit row, then the alerters are told. All methods raise OutageError."""

    def __init__(self, client: redis.Redis, database: Database) -> None:
        self._client = client
        self._database = database

    def list(self, wanted: RuleFilter, default_limit: int) -> RulePage:
        """The rules that fit the filter, in the order in which they are tried."""
        limit = wanted.limit or default_limit
        filters = {
            "is_active": wanted.is_active,
            "match_type": None if wanted.match_type is None else str(wanted.match_type),
            "team": storable(wanted.team) if wanted.team else None,
            "q": storable(wanted.q) if wanted.q else None,
        }

        def work(connection: Connection) -> tuple[Sequence[StoredRule], int]:
            with connection.cursor() as cursor:
                return rules.page(cursor, filters, limit, (wanted.page - 1) * limit)

        stored, total = self._database.run(work)
        return RulePage(rules=[*self._shown(stored)], total=total, page=wanted.page, limit=limit)

    def get(self, rule_id: int) -> tuple[Rule, str]:
        """The rule and its entity tag. Raises RequestError (404)."""

        def work(connection: Connection) -> StoredRule:
            with connection.cursor() as cursor:
                return _there(rules.get(cursor, rule_id), rule_id)

        return self._tagged(self._database.run(work))

    def create(self, draft: RuleDraft, author: Author) -> Rule:
        """The new rule. Raises RequestError (400) that names the field when it must not be stored."""
        values = values_of(draft)
        demand_valid(values)

        def work(connection: Connection) -> StoredRule:
            with connection.cursor() as cursor:
                (new,) = rules.insert(cursor, [values])
                record(cursor, author, "CREATE", TABLE, str(new.id), None, new._asdict())
                return new

        new = self._database.run(work)
        publish_reload(self._client)
        return self._tagged(new)[0]

    def update(
        self, rule_id: int, changes: RuleChanges, author: Author, if_match: str | None = None
    ) -> tuple[Rule, str]:
        """The rule with the given fields changed, and its new entity tag; nothing is written when nothing differs.

        Raises RequestError: 400 that names the field, 404, or 412 when ``if_match`` names an older state.
        """
        given = {field: value for field in RuleValues._fields if (value := getattr(changes, field)) is not UNSET}
        if "match_type" in given:
            given["match_type"] = str(given["match_type"])
        return self._tagged(self._change(rule_id, given, "UPDATE", author, if_match))

    def delete(self, rule_id: int, author: Author, if_match: str | None = None) -> Rule:
        """The rule, which no event is tried on any more; it stays in the table for the audit log's sake.

        Raises RequestError: 404, or 412 when ``if_match`` names an older state.
        """
        return self._tagged(self._change(rule_id, {"is_active": False}, "DELETE", author, if_match))[0]

    def _change(
        self, rule_id: int, given: dict[str, Any], operation: Operation, author: Author, if_match: str | None
    ) -> StoredRule:
        def work(connection: Connection) -> tuple[StoredRule, bool]:
            with connection.cursor() as cursor:
                old = _there(rules.get(cursor, rule_id, for_update=True), rule_id)
                demand_match(if_match, etag_of(old), f"rule {rule_id}")
                values = old.values._replace(**given)
                if values == old.values:
                    return old, False
                demand_storable(values)
                if values.is_active or values[:4] != old.values[:4]:
                    # A rule that cannot be used, however it came to be stored, can still be switched off.
                    demand_valid(values)
                new = rules.update(cursor, [(rule_id, values)])[rule_id]
                record(cursor, author, operation, TABLE, str(rule_id), old._asdict(), new._asdict())
                return new, True

        stored, changed = self._database.run(work)
        if changed:
            publish_reload(self._client)
        return stored

    def _tagged(self, stored: StoredRule) -> tuple[Rule, str]:
        return self._shown([stored])[0], etag_of(stored)

    def _shown(self, stored: Sequence[StoredRule]) -> Sequence[Rule]:
        hits = read_hits(self._client, [rule.id for rule in stored])
        return [shown(rule, hits[rule.id]) for rule in stored]


def shown(stored: StoredRule, hits: Hits) -> Rule:
    """The rule as the API shows it."""
    return Rule(**stored._asdict(), hits_24h=hits.day, hits_7d=hits.week, last_hit=hits.last, problem=_problem(stored))


def _problem(stored: StoredRule) -> str | None:
    """Why the alerters skip the rule, when they do."""
    try:
        CompiledRule.of(judged(stored.id, stored.values))
    except UnusableRuleError as error:
        return str(error)
    return None


def _there(stored: StoredRule | None, rule_id: int) -> StoredRule:
    if stored is None:
        raise RequestError(Reason.NOT_FOUND, 404, f"there is no rule {rule_id}", field="rule_id")
    return stored
