"""What a rule set would change, worked out without touching anything: a pure comparison of document and table."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mutt.admin.etags import etag_of
from mutt.admin.services.rule_values import conditions, demand_storable, demand_valid, values_of
from mutt.admin.shapes.rules import FieldChange, Plan, PlannedChange, PlanRequest, RuleDocument
from mutt.errors import Reason, RequestError
from mutt.store.rules import RuleValues, StoredRule

PROVISIONAL = 2**31
"""Above every id PostgreSQL hands out: created rules get theirs in the order of the document, above all others."""


class Step(NamedTuple):
    """A rule as it is and as it would be: ``old`` is None for a new one, ``place`` for one that is only pruned."""

    place: int | None
    """In the document, counted from 0."""
    old: StoredRule | None
    new: RuleValues

    @property
    def changes(self) -> bool:
        return self.old is None or self.old.values != self.new

    @property
    def rule_id(self) -> int:
        """The rule's id; a provisional one when it is new."""
        return PROVISIONAL + (self.place or 0) if self.old is None else self.old.id


class Comparison(NamedTuple):
    """``documents`` has a step for each rule of the document, ``pruned`` those for rules it does not name."""

    documents: list[Step]
    pruned: list[Step]
    untouched: list[StoredRule]

    @property
    def steps(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in (*self.documents, *self.pruned) if step.changes]

    def outcome(self) -> Iterator[tuple[int, RuleValues]]:
        """Every rule as it would be, with its id or a provisional one."""
        for rule in self.untouched:
            yield rule.id, rule.values
        for step in (*self.documents, *self.pruned):
            yield step.rule_id, step.new


def compare(request: PlanRequest, stored: Sequence[StoredRule]) -> Comparison:
    """What applying the rule set would do to the stored rules.

    Raises RequestError (400) that names the field for an id that does not exist or is named twice, and for a rule
    that would be stored and must not be.
    """
    found = _found(request.rules, stored)
    documents = [Step(index, found[index], values_of(rule)) for index, rule in enumerate(request.rules)]
    for step in documents:
        if step.changes:
            _demand_valid(step)
    named = {rule.id for rule in found if rule is not None}
    others = [rule for rule in stored if rule.id not in named]
    pruned = [rule for rule in others if request.prune and rule.is_active]
    return Comparison(
        documents,
        [Step(None, rule, rule.values._replace(is_active=False)) for rule in pruned],
        [rule for rule in others if not (request.prune and rule.is_active)],
    )


def _demand_valid(step: Step) -> None:
    where = f"rules[{step.place}]."
    demand_storable(step.new, where)
    if step.new.is_active or step.old is None or step.new[:4] != step.old.values[:4]:
        # A rule that cannot be used, however it came to be stored, can still be switched off.
        demand_valid(step.new, where)


def _found(documents: Sequence[RuleDocument], stored: Sequence[StoredRule]) -> list[StoredRule | None]:
    """The stored rule that each document means: by its id, or else the first unclaimed one with its conditions."""
    by_id = {rule.id: rule for rule in stored}
    found: dict[int, StoredRule] = {}
    claimed: dict[int, int] = {}
    for index, document in enumerate(documents):
        if document.id is not None:
            found[index] = _named(document.id, index, by_id, claimed)
    unclaimed: dict[tuple[object, ...], list[StoredRule]] = {}
    # Taken from the end: active rules before inactive ones, older before newer.
    for rule in sorted(stored, key=lambda rule: (rule.is_active, -rule.id)):
        if rule.id not in claimed:
            unclaimed.setdefault(rule.values[:4], []).append(rule)
    for index, document in enumerate(documents):
        alike = unclaimed.get(values_of(document)[:4]) if document.id is None else None
        if alike:
            found[index] = alike.pop()
    return [found.get(index) for index in range(len(documents))]


def _named(rule_id: int, index: int, by_id: dict[int, StoredRule], claimed: dict[int, int]) -> StoredRule:
    field = f"rules[{index}].id"
    if rule_id not in by_id:
        raise RequestError(
            Reason.INVALID_RULE, 400,
            f"there is no rule {rule_id}; leave the id out to have the rule found by its conditions, or created",
            field=field,
        )  # fmt: skip
    if rule_id in claimed:
        raise RequestError(
            Reason.INVALID_RULE, 400, f"rule {rule_id} is named by rules[{claimed[rule_id]}] already", field=field
        )
    claimed[rule_id] = index
    return by_id[rule_id]


def plan_etag(request: PlanRequest, stored: Sequence[StoredRule]) -> str:
    """The tag of a plan: another document or any change of the stored rules gives another."""
    return etag_of((request.rules, request.prune, stored))


def shown(comparison: Comparison, etag: str) -> Plan:
    """The plan as the API shows it, without what came of the examples."""
    changes = [_planned(step) for step in comparison.steps]
    actions = [change.action for change in changes]
    return Plan(
        creates=actions.count("create"),
        updates=actions.count("update"),
        deletes=actions.count("delete"),
        unchanged=sum(not step.changes for step in comparison.documents),
        changes=changes,
        failed_examples=[],
        plan_etag=etag,
    )


def _planned(step: Step) -> PlannedChange:
    old: dict[str, object] = {} if step.old is None else step.old.values._asdict()
    changes = [
        FieldChange(field, old.get(field), new) for field, new in step.new._asdict().items() if old.get(field) != new
    ]
    new = step.new
    about = f"{conditions(new)} (priority {new.priority}, {new.prod_handling}, {new.team_assignment})"
    if step.old is None:
        return PlannedChange(
            action="create", rule_id=None, index=step.place, summary=f"a new rule: {about}", changes=changes
        )
    rule_id = step.old.id
    if step.place is None:
        summary = f"rule {rule_id} is not in the document and is switched off: {about}"
        return PlannedChange(action="delete", rule_id=rule_id, index=None, summary=summary, changes=changes)
    summary = f"rule {rule_id}: " + ", ".join(
        f"{each.field} {_word(each.old)} -> {_word(each.new)}" for each in changes
    )
    return PlannedChange(action="update", rule_id=rule_id, index=step.place, summary=summary, changes=changes)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)[:80]
