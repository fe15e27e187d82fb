"""The configuration audit: who changed what, when and why; and taking a change back."""

from collections.abc import Sequence
from typing import cast

import redis

from mutt.admin.access import Author
from mutt.admin.services.changes import publish_reload
from mutt.admin.services.config import DynamicSettings, etag
from mutt.admin.services.rule_values import demand_valid
from mutt.admin.services.times import interval
from mutt.admin.services.undoing import HOSTS, RULES, SETTINGS, TEAMS, Values, obstacle, target
from mutt.admin.shapes.common import Created
from mutt.admin.shapes.config import Setting
from mutt.admin.shapes.events import ConfigAuditFilter, ConfigChange, ConfigChangePage
from mutt.errors import OutageError, Reason, RequestError
from mutt.events.admit import storable
from mutt.events.ids import canonical_uuid
from mutt.store import config_audit, inventory, rules
from mutt.store.changes import Cursor, Operation, record
from mutt.store.config_audit import ChangeConditions
from mutt.store.connections import Connection
from mutt.store.inventory import Inventory
from mutt.store.pool import Database
from mutt.store.rules import RuleValues

MOST_REASON = 1000


class ConfigAudit:
    """Reads changes and undoes them, which is a change of its own."""

    def __init__(self, client: redis.Redis, database: Database, settings: DynamicSettings) -> None:
        self._client = client
        self._database = database
        self._settings = settings

    def get(self, change_id: int) -> ConfigChange:
        """One change. Raises RequestError (404) and OutageError."""
        return self._shown([self._read(change_id)])[0]

    def undo(self, change_id: int, author: Author) -> Created:
        """The id of the new change that puts back what the change has changed, and a sentence about it.

        Raises RequestError: 404; 409 that names what differs when the thing is not as the change left it any more,
        or when such a change cannot be undone. Raises OutageError.
        """
        change = self._read(change_id)
        reason = f"undo of change {change_id}"
        author = author._replace(reason=f"{reason}: {author.reason}"[:MOST_REASON] if author.reason else reason)
        if change.table_name == SETTINGS:
            new_id = self._undo_setting(change, author)
        elif change.table_name in _UNDO:
            new_id = self._database.run(lambda connection: _undo(connection, change, author))
            publish_reload(self._client)
        else:
            raise _conflict(f"changes of {change.table_name} cannot be undone")
        return Created(new_id, f"change {change_id} of {change.table_name} {change.record_id} was undone")

    def list(self, wanted: ConfigAuditFilter, default_limit: int) -> ConfigChangePage:
        """Changes, newest first. Raises RequestError (400) and OutageError."""
        limit = wanted.limit or default_limit
        rows, total = config_audit.page(self._database, _conditions(wanted), limit, (wanted.page - 1) * limit)
        logs = self._shown([ConfigChange(**row) for row in rows])
        return ConfigChangePage(logs=[*logs], total=total, page=wanted.page, limit=limit)

    def _read(self, change_id: int) -> ConfigChange:
        rows, _ = config_audit.page(self._database, ChangeConditions(id=change_id), 1, 0)
        if not rows:
            raise RequestError(Reason.NOT_FOUND, 404, f"there is no change {change_id}", field="change_id")
        return ConfigChange(**rows[0])

    def _shown(self, changes: Sequence[ConfigChange]) -> Sequence[ConfigChange]:
        """The changes with what can be said about undoing them."""
        records = {(each.table_name, each.record_id) for each in changes if each.record_id is not None}
        states = config_audit.states(self._database, records)
        settings = self._stored_settings() if any(table == SETTINGS for table, _ in records) else {}
        for change in changes:
            record_id = change.record_id or ""
            if change.table_name != SETTINGS:
                change.can_be_undone = obstacle(change, states.get((change.table_name, record_id))) is None
            elif record_id in settings:
                change.can_be_undone = obstacle(change, _stored(settings[record_id])) is None
        return changes

    def _stored_settings(self) -> dict[str, Setting]:
        """By key; none while Redis is away or nothing in it counts, for then no change of them can be undone."""
        try:
            found = self._settings.list()
        except OutageError:
            return {}
        return {setting.key: setting for setting in found.config} if found.enabled else {}

    def _undo_setting(self, change: ConfigChange, author: Author) -> int:
        key = change.record_id or ""
        setting = self._settings.get(key)
        _demand(change, _stored(setting))
        before, seen = target(change), f'"{etag(setting)}"'
        if before is None:
            self._settings.reset(key, author, if_match=seen)
        else:
            self._settings.set(key, before["value"], author, if_match=seen)
        newest, _ = config_audit.page(self._database, ChangeConditions(table_name=SETTINGS, record_id=key), 1, 0)
        return int(newest[0]["id"])


def _conditions(wanted: ConfigAuditFilter) -> ChangeConditions:
    """Conditions that are empty, as forms send them, do not take part."""
    start, end = interval(wanted.start_date, wanted.end_date)
    given = (wanted.correlation_id or "").strip()
    correlation_id = canonical_uuid(given) if given else None
    if given and correlation_id is None:
        sentence = f"correlation_id: {given!r} is no UUID"
        raise RequestError(Reason.INVALID_FIELD, 400, sentence, field="correlation_id")
    return ChangeConditions(
        table_name=storable(wanted.table_name or "") or None,
        operation=wanted.operation,
        changed_by=storable(wanted.changed_by or "") or None,
        record_id=storable(wanted.record_id or "") or None,
        correlation_id=correlation_id,
        start=start,
        end=end,
    )


def _stored(setting: Setting) -> Values:
    return {"value": setting.value} if setting.source == "redis" else None


def _demand(change: ConfigChange, now: Values) -> None:
    if sentence := obstacle(change, now):
        raise _conflict(sentence)


def _conflict(sentence: str) -> RequestError:
    return RequestError(Reason.CONFLICT, 409, sentence, field="change_id")


# --- within the transaction of an undo ------------------------------------------------------------------------


def _undo(connection: Connection, change: ConfigChange, author: Author) -> int:
    """The id of the new change."""
    with connection.cursor() as cursor:
        return _UNDO[change.table_name](cursor, change, author)


def _undo_rule(cursor: Cursor, change: ConfigChange, author: Author) -> int:
    record_id = change.record_id or ""
    old = rules.get(cursor, int(record_id), for_update=True) if record_id.isdecimal() else None
    _demand(change, old._asdict() if old else None)
    before = target(change)
    assert before is not None  # noqa: S101 - the rule was as the change left it
    assert old is not None  # noqa: S101 - likewise
    values = RuleValues(**{field: before[field] for field in RuleValues._fields})
    if values.is_active:
        demand_valid(values)
    new = rules.update(cursor, [(old.id, values)])[old.id]
    operation: Operation = "DELETE" if change.operation == "CREATE" else "UPDATE"
    return record(cursor, author, operation, RULES, record_id, old._asdict(), new._asdict())


def _undo_inventory(cursor: Cursor, change: ConfigChange, author: Author) -> int:
    table, hostname = cast(Inventory, change.table_name), change.record_id or ""
    now = next(iter(inventory.named(cursor, table, [hostname], lock=True)), None)
    _demand(change, now)
    before = target(change)
    if before is None:
        done = inventory.remove(cursor, author, table, hostname)
    elif now is None:
        done = inventory.add(cursor, author, table, dict(before))
    else:
        done = inventory.change_team(cursor, author, hostname, before["team_assignment"])
    if done is None:
        raise _conflict(f"{hostname} was changed by somebody else at the same moment")
    return done[1]


_UNDO = {RULES: _undo_rule, HOSTS: _undo_inventory, TEAMS: _undo_inventory}
