"""Rules as code: the whole rule set as a document, and a document made the rule set, in one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import gevent
import msgspec
import redis
import yaml
from msgspec import structs

from mutt.admin.access import Author
from mutt.admin.services.changes import publish_reload
from mutt.admin.services.rule_plans import PROVISIONAL, Comparison, Step, compare, plan_etag, shown
from mutt.admin.services.rule_tests import Admission
from mutt.admin.services.rule_values import judged
from mutt.admin.services.rules import TABLE
from mutt.admin.shapes.rules import ExportFilter, FailedExample, Plan, PlanRequest, RuleExample
from mutt.errors import EventError, Reason, RequestError
from mutt.rules.decision import decide
from mutt.rules.rule import Rule, Snapshot, build_snapshot
from mutt.store import rules
from mutt.store.changes import Change, record_many
from mutt.store.connections import Connection
from mutt.store.pool import Database
from mutt.store.rules import Cursor, StoredRule

HEADER = """\
# The rule set of MUTT, as it was exported. The rule with the highest priority that matches decides; among rules of one
# priority, the one with the lowest id.
#
#   mutt-admin rules plan FILE     shows what applying this file would change
#   mutt-admin rules apply FILE    changes it, all or nothing
#
# A rule with an id is that stored rule. Without one it is found by its conditions (match_type, match_string, trap_oid,
# syslog_severity), or created. Under "examples" a rule may carry events, and what has to come of them.
"""

EXAMPLE_HOSTNAME = "example"
"""The host of an example that names none."""

MOST_SHOWN = 5
"""Failed examples that the refusal of an apply spells out."""

ATTEMPTS = 3
"""How often an apply without a plan_etag is planned anew because somebody has changed a rule meanwhile."""


class Prepared(NamedTuple):
    """A plan with all that was worked out for it."""

    plan: Plan
    comparison: Comparison
    stored: Sequence[StoredRule]


class RuleSets:
    """All methods raise OutageError."""

    def __init__(self, client: redis.Redis, database: Database, admission: Admission) -> None:
        self._client = client
        self._database = database
        self._admission = admission

    def export(self, wanted: ExportFilter) -> bytes:
        """The stored rules as a document that plan and apply read, in the order in which they are tried."""
        stored, _, _ = rules.load_stored(self._database)
        documents = [_document(rule) for rule in stored if rule.is_active or wanted.include_inactive]
        rule_set = {"version": 1, "rules": documents}
        if wanted.format == "json":
            return msgspec.json.format(msgspec.json.encode(rule_set), indent=2) + b"\n"
        text: str = yaml.dump(rule_set, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        return (HEADER + text).encode()

    def plan(self, request: PlanRequest) -> Plan:
        """What applying the document would change, and which of its examples would fail; nothing is changed.

        Raises RequestError (400) that names the field of a rule that must not be stored.
        """
        return self._prepared(request).plan

    def apply(self, request: PlanRequest, author: Author) -> Plan:
        """The plan, carried out: all of it in one transaction, each change with its audit row, or nothing.

        Raises RequestError: 400 as ``plan`` does, 412 when the plan that ``plan_etag`` names is out of date, 422 when
        an example fails.
        """
        for _ in range(ATTEMPTS):
            prepared = self._prepared(request)
            plan = prepared.plan
            if request.plan_etag is not None and request.plan_etag != plan.plan_etag:
                break
            _demand_examples(plan)
            if not plan.changes:
                return _applied(plan, [])
            created = self._database.run(partial(_carry_out, prepared=prepared, author=author))
            if created is not None:
                publish_reload(self._client)
                return _applied(plan, created)
        raise RequestError(
            Reason.STALE, 412, "the rules or the document have changed since the plan was made; plan again",
            field="plan_etag",
        )  # fmt: skip

    def _prepared(self, request: PlanRequest) -> Prepared:
        stored, hosts, teams = rules.load_stored(self._database)
        comparison = compare(request, stored)
        plan = shown(comparison, plan_etag(request, stored))
        active = [judged(rule_id, values) for rule_id, values in comparison.outcome() if values.is_active]
        if any(document.examples for document in request.rules):
            # Thousands of rules take a while to compile; the other requests must not wait for it.
            snapshot = gevent.get_hub().threadpool.apply(_compiled, (active, hosts, teams))
            plan.failed_examples = [*self._failed(request, comparison, snapshot)]
        return Prepared(plan, comparison, stored)

    def _failed(self, request: PlanRequest, comparison: Comparison, snapshot: Snapshot) -> Iterator[FailedExample]:
        """The examples that do not come out as they say. Those of an inactive rule are not tried."""
        for index, (document, step) in enumerate(zip(request.rules, comparison.documents, strict=True)):
            for number, example in enumerate(document.examples if document.is_active else ()):
                if sentence := self._problem(example, step.rule_id, snapshot):
                    yield FailedExample(index=index, example=number, sentence=sentence)
                # There may be thousands, and others have requests too.
                gevent.sleep(0)

    def _problem(self, example: RuleExample, rule_id: int, snapshot: Snapshot) -> str | None:
        given = {"timestamp": datetime.now(UTC), "hostname": EXAMPLE_HOSTNAME, **example.event}
        try:
            event = self._admission.admit(given)
        except EventError as error:
            return f"ingest would not take the event: {error}"
        decision = decide(event, snapshot)
        by = "no rule" if decision.rule_id is None else _called(decision.rule_id)
        if example.match and decision.rule_id != rule_id:
            return f"this rule should decide, but {by} does"
        if not example.match and decision.rule_id == rule_id:
            return "this rule should not decide, but it does"
        if example.handling is not None and example.handling != decision.handling:
            return f"the handling should be {example.handling}, but {by} makes it {decision.handling}"
        if example.team is not None and example.team != decision.team:
            return f"the team should be {example.team}, but it is {decision.team or 'none'}"
        return None


def _compiled(active: Iterable[Rule], hosts: Iterable[str], teams: Mapping[str, str]) -> Snapshot:
    return build_snapshot(active, hosts, teams).indexed()


def _called(rule_id: int) -> str:
    new = rule_id - PROVISIONAL
    return f"rule {rule_id}" if new < 0 else f"rules[{new}] of the document"


def _demand_examples(plan: Plan) -> None:
    failed = plan.failed_examples
    if not failed:
        return
    listed = "; ".join(f"rules[{each.index}].examples[{each.example}]: {each.sentence}" for each in failed[:MOST_SHOWN])
    more = f"; and {len(failed) - MOST_SHOWN} more" if len(failed) > MOST_SHOWN else ""
    raise RequestError(
        Reason.INVALID_RULE, 422, f"examples do not come out as they say, so nothing was changed: {listed}{more}",
        field=f"rules[{failed[0].index}].examples[{failed[0].example}]",
    )  # fmt: skip


def _applied(plan: Plan, created: Sequence[int]) -> Plan:
    """The plan with the ids of the rules that it has created."""
    ids = iter(created)
    changes = [
        structs.replace(change, rule_id=next(ids)) if change.action == "create" else change for change in plan.changes
    ]
    return structs.replace(plan, changes=changes, applied=True)


def _carry_out(connection: Connection, prepared: Prepared, author: Author) -> list[int] | None:
    """The ids of the created rules once the changes are made; None when the rules are not those of the plan any more.

    It may run twice, when the connection broke: the second time finds everything as the first did.
    """
    with connection.cursor() as cursor:
        rules.lock_all(cursor)
        if rules.every(cursor) != prepared.stored:
            return None
        steps = prepared.comparison.steps
        new = rules.insert(cursor, [step.new for step in steps if step.old is None])
        created = [Change("CREATE", TABLE, str(rule.id), None, rule._asdict()) for rule in new]
        record_many(cursor, author, created + _update(cursor, steps))
        return [rule.id for rule in new]


def _update(cursor: Cursor, steps: Sequence[Step]) -> list[Change]:
    old = [(step.old, step) for step in steps if step.old is not None]
    new = rules.update(cursor, [(rule.id, step.new) for rule, step in old])
    return [
        Change(
            "UPDATE" if step.place is not None else "DELETE",
            TABLE,
            str(rule.id),
            rule._asdict(),
            new[rule.id]._asdict(),
        )
        for rule, step in old
    ]


def _document(rule: StoredRule) -> dict[str, Any]:
    """The rule as a RuleDocument, conditions first and without what is not set."""
    values = rule.values._asdict()
    first = {"id": rule.id, "match_type": values.pop("match_type")}
    if values.pop("is_active"):
        return first | {name: value for name, value in values.items() if value is not None}
    return first | {name: value for name, value in values.items() if value is not None} | {"is_active": False}


_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one written in C where PyYAML has it: ten times as fast."""
