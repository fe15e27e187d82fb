"""The rule tester: what would be done about an event, by the same functions that ingest and the workers use."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mutt.admin.services.rule_values import demand_valid, judged, values_of
from mutt.admin.shapes.rules import DecisionView, RuleDraft, RuleTest, RuleTestResult, TriedRule
from mutt.errors import EventError, Reason, RequestError
from mutt.events import event
from mutt.events.admit import Limits, admit
from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.moogsoft import payload
from mutt.rules import pattern
from mutt.rules.decision import Decision, alert_of, decide
from mutt.rules.matcher import trace
from mutt.rules.rule import CompiledRule, Rule, Snapshot, build_snapshot
from mutt.settings import IngestSettings
from mutt.store import rules
from mutt.store.connections import Connection
from mutt.store.pool import Database

DRAFT_ID = 0
"""What a draft without a place of its own is called in the answer."""

NEWEST = 2**31
"""Above every id PostgreSQL hands out: among rules of one priority the newest is tried last."""


class Admission:
    """Makes events of what a request holds, exactly as ingest does."""

    def __init__(self, settings: IngestSettings) -> None:
        self._ids = IdSource()
        self._limits = Limits(
            settings.max_message_bytes,
            timedelta(days=settings.max_event_age_days),
            timedelta(seconds=settings.max_clock_ahead_seconds),
            settings.required_fields,
        )

    def admit(self, item: Mapping[str, Any]) -> Event:
        """The event as it would be queued. Raises EventError."""
        # YAML makes times of unquoted timestamps; sources send them as text.
        return admit(msgspec.to_builtins(item), datetime.now(UTC), self._ids, self._limits)


class RuleTests:
    """``payload_format`` is MOOG_FORMAT."""

    def __init__(self, database: Database, admission: Admission, payload_format: str) -> None:
        self._database = database
        self._admission = admission
        self._payload_format = payload_format

    def test(self, request: RuleTest) -> RuleTestResult:
        """What would be done about the event.

        Raises RequestError: 400 that names the field of an event that ingest would not take or of a draft that
        cannot be stored, 404 for a rule that does not exist; OutageError.
        """
        tried = self._admitted(request.event)
        snapshot = self._snapshot(request.rule, request.rule_id)
        decision = decide(tried, snapshot)
        lines = [TriedRule(line.rule_id, line.matched, line.why) for line in trace(tried, snapshot)]
        return RuleTestResult(
            decision=_view(tried, decision),
            rule_id=decision.rule_id,
            trace=lines,
            payload=self._payload(tried, decision),
            event=msgspec.json.decode(event.encode(tried)),
        )

    def _admitted(self, item: Mapping[str, Any]) -> Event:
        try:
            return self._admission.admit(item)
        except EventError as error:
            name = str(error).partition(" ")[0]
            field = f"event.{name}" if name in event.Event.__struct_fields__ or name == "severity" else "event"
            raise RequestError(error.reason, 400, str(error), field=field) from error

    def _snapshot(self, draft: RuleDraft | None, rule_id: int | None) -> Snapshot:
        if draft is None and rule_id is not None:
            raise RequestError(
                Reason.MISSING_FIELD, 400, "rule is required with rule_id: the draft that takes its place", field="rule"
            )
        rows, hosts, teams = rules.load(self._database)
        if rule_id is not None and all(row.id != rule_id for row in rows):
            self._demand_rule(rule_id)
        stored = [rules.as_rule(row) for row in rows]
        return (
            build_snapshot(stored, hosts, teams) if draft is None else with_draft(stored, hosts, teams, draft, rule_id)
        )

    def _demand_rule(self, rule_id: int) -> None:
        def work(connection: Connection) -> bool:
            with connection.cursor() as cursor:
                return rules.get(cursor, rule_id) is not None

        if not self._database.run(work):
            raise RequestError(Reason.NOT_FOUND, 404, f"there is no rule {rule_id}", field="rule_id")

    def _payload(self, tried: Event, decision: Decision) -> Any:
        if not decision.forward:
            return None
        shaped = payload.shape(alert_of(tried, decision), self._payload_format)
        return msgspec.json.decode(msgspec.json.encode(shaped))


def with_draft(
    stored: list[Rule], hosts: frozenset[str], teams: Mapping[str, str], draft: RuleDraft, rule_id: int | None
) -> Snapshot:
    """The snapshot as it would be with the draft, instead of the rule ``rule_id`` or as the newest rule with id 0.

    An inactive draft takes no part. Raises RequestError (400) that names the field when it could not be stored.
    """
    values = values_of(draft)
    demand_valid(values, "rule.")
    others = [rule for rule in stored if rule.id != rule_id]
    if not draft.is_active:
        return build_snapshot(others, hosts, teams)
    snapshot = build_snapshot([*others, judged(rule_id or NEWEST, values)], hosts, teams)
    return replace(snapshot, rules=tuple(_renamed(each) for each in snapshot.rules))


def _renamed(compiled: CompiledRule) -> CompiledRule:
    return replace(compiled, rule=replace(compiled.rule, id=DRAFT_ID)) if compiled.rule.id == NEWEST else compiled


def _view(tried: Event, decision: Decision) -> DecisionView:
    unmatched = decision.rule_id is None
    return DecisionView(
        handling=decision.handling,
        team=decision.team,
        environment=decision.environment,
        forward=decision.forward,
        unhandled_pattern=pattern.unhandled_pattern(tried.source, tried.message) if unmatched else None,
    )
