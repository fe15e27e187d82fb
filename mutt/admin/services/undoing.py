"""Whether a change can be taken back: only while what was changed still is as the change left it."""

from collections.abc import Mapping
from typing import Any

from mutt.admin.access import Scope
from mutt.admin.shapes.events import ConfigChange
from mutt.store.rules import RuleValues

RULES, HOSTS, TEAMS, SETTINGS = "alert_rules", "development_hosts", "device_teams", "dynamic_config"


def scope_to_undo(change: ConfigChange) -> Scope:
    """What a key needs to take the change back: as much as to make it."""
    return Scope.ADMIN if change.table_name == SETTINGS else Scope.OPERATOR


FIELDS: Mapping[str, tuple[str, ...]] = {
    RULES: RuleValues._fields,
    HOSTS: ("hostname", "description"),
    TEAMS: ("hostname", "team_assignment"),
    SETTINGS: ("value",),
}
"""What people decide about, by table; ids and times follow by themselves."""

Values = Mapping[str, Any] | None


def target(change: ConfigChange) -> Values:
    """The values before the change, which undoing it brings back; a rule is never removed, only switched off."""
    if change.table_name == RULES and change.old_values is None:
        return {**(change.new_values or {}), "is_active": False}
    return _as_values(change.old_values)


def obstacle(change: ConfigChange, now: Values) -> str | None:
    """Why the change cannot be undone, in a sentence; None when it can be. ``now`` is how the thing is, if it is."""
    fields = FIELDS.get(change.table_name)
    if fields is None or change.record_id is None:
        return f"changes of {change.table_name} cannot be undone"
    if change.status != "applied":
        return f"change {change.id} was never confirmed, so there is nothing certain to undo"
    left, before = _as_values(change.new_values), target(change)
    if any(values is not None and not values.keys() >= set(fields) for values in (left, before)):
        return f"change {change.id} does not hold all the values that would have to be put back"
    if difference := _difference(change, fields, left, now):
        return difference
    if _same(fields, now, before):
        return f"{_name(change)} already is as it was before change {change.id}"
    return None


def _difference(change: ConfigChange, fields: tuple[str, ...], left: Values, now: Values) -> str | None:
    if now is None and left is not None:
        return f"{_name(change)} is not there any more"
    if now is not None and left is None:
        return f"{_name(change)} is there again"
    if now is None or left is None:
        return None
    differing = [
        f"{field} is {now[field]!r} now and was {left[field]!r}" for field in fields if now[field] != left[field]
    ]
    return f"{_name(change)} was changed after change {change.id}: {', '.join(differing)}" if differing else None


def _same(fields: tuple[str, ...], one: Values, other: Values) -> bool:
    if one is None or other is None:
        return one is other
    return all(one[field] == other[field] for field in fields)


def _as_values(values: Any) -> Values:
    return values if isinstance(values, dict) else None


def _name(change: ConfigChange) -> str:
    kinds = {RULES: "rule", HOSTS: "development host", TEAMS: "the team of", SETTINGS: "setting"}
    return f"{kinds[change.table_name]} {change.record_id}"
