"""Reads and writes rules; reads what the alerter judges by: rules, development hosts and teams, all of one moment."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from mutt.rules.rule import Handling, MatchType, Rule
from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database

Cursor: TypeAlias = cursor

RULES_LOCK = 0x52554C45
"""Key of the advisory lock that changes of rules share and that a whole rule set takes alone ("RULE" in ASCII)."""

ROWS_A_STATEMENT = 500


class RuleRow(NamedTuple):
    """An active rule, as it is stored."""

    id: int
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str


class StoredRule(NamedTuple):
    """A rule with all its columns."""

    id: int
    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str
    is_active: bool
    created_at: datetime
    updated_at: datetime

    @property
    def values(self) -> "RuleValues":
        """What a change of the rule can change."""
        return RuleValues(*self[1:10])


class RuleValues(NamedTuple):
    """The columns of a rule that people decide about."""

    match_string: str | None
    trap_oid: str | None
    syslog_severity: int | None
    match_type: str
    priority: int
    prod_handling: str
    dev_handling: str
    team_assignment: str
    is_active: bool


Snapshot = tuple[list[RuleRow], frozenset[str], dict[str, str]]
"""The active rules in the order they are tried; development hosts; teams by host. Host names are in lower case."""


def load(database: Database) -> Snapshot:
    """The three as they stood at one moment: a change that touches two of them is seen whole. Raises OutageError."""
    return database.run(_load)


def as_rule(row: RuleRow) -> Rule:
    """The rule as decisions are made with it."""
    return Rule(
        row.id,
        row.match_string,
        row.trap_oid,
        row.syslog_severity,
        MatchType(row.match_type),
        row.priority,
        Handling(row.prod_handling),
        Handling(row.dev_handling),
        row.team_assignment,
    )


def load_stored(database: Database) -> tuple[list[StoredRule], frozenset[str], dict[str, str]]:
    """As ``load``, with every rule, active or not, and all its columns. Raises OutageError."""

    def work(connection: Connection) -> tuple[list[StoredRule], frozenset[str], dict[str, str]]:
        with _one_moment(connection) as cursor:
            return every(cursor), *_inventory(cursor)

    return database.run(work)


def _load(connection: Connection) -> Snapshot:
    with _one_moment(connection) as cursor:
        cursor.execute(query("active_rules"))
        return [RuleRow(*row) for row in cursor], *_inventory(cursor)


def _one_moment(connection: Connection) -> Cursor:
    """A cursor whose statements all see what was committed when the first began."""
    cursor = connection.cursor()
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    return cursor


def _inventory(cursor: Cursor) -> tuple[frozenset[str], dict[str, str]]:
    cursor.execute(query("development_host_names"))
    # Lowered here and not in SQL, so that it is done as the alerter does it for the events.
    hosts = frozenset(hostname.lower() for (hostname,) in cursor)
    cursor.execute(query("device_team_names"))
    return hosts, {hostname.lower(): team for hostname, team in cursor}


# --- for a transaction under way ------------------------------------------------------------------------------


def page(cursor: Cursor, filters: dict[str, Any], limit: int, offset: int) -> tuple[list[StoredRule], int]:
    """The rules of one page, and how many fit the filters is_active, match_type, team and q; None is no filter."""
    cursor.execute(query("count_rules"), filters)
    ((total,),) = cursor
    cursor.execute(query("rules_page"), {**filters, "limit": limit, "offset": offset})
    return [StoredRule(*row) for row in cursor], total


def get(cursor: Cursor, rule_id: int, for_update: bool = False) -> StoredRule | None:
    """The rule, or None. With ``for_update`` nobody else changes it, alone or in a rule set, until the end."""
    if for_update:
        cursor.execute(query("share_rules_lock"), (RULES_LOCK,))
    cursor.execute(query("lock_rule" if for_update else "rule_by_id"), (rule_id,))
    row = cursor.fetchone()
    return None if row is None else StoredRule(*row)


def every(cursor: Cursor) -> list[StoredRule]:
    """All rules, active or not, in the order in which they are tried."""
    cursor.execute(query("stored_rules"))
    return [StoredRule(*row) for row in cursor]


def insert(cursor: Cursor, rules: Sequence[RuleValues]) -> list[StoredRule]:
    """The new rules as they are stored, in the order given; so are their ids."""
    if not rules:
        return []
    cursor.execute(query("share_rules_lock"), (RULES_LOCK,))
    stored = execute_values(cursor, query("insert_rules"), rules, page_size=ROWS_A_STATEMENT, fetch=True)
    return [StoredRule(*row) for row in stored]


def update(cursor: Cursor, rules: Iterable[tuple[int, RuleValues]]) -> dict[int, StoredRule]:
    """The rules as they are stored with their new values, by id."""
    rows = [(rule_id, *values) for rule_id, values in rules]
    if not rows:
        return {}
    types = "(%s::int, %s::text, %s::text, %s::int, %s::text, %s::int, %s::text, %s::text, %s::text, %s::boolean)"
    stored = execute_values(cursor, query("update_rules"), rows, types, page_size=ROWS_A_STATEMENT, fetch=True)
    return {row[0]: StoredRule(*row) for row in stored}


def lock_all(cursor: Cursor) -> None:
    """Keeps everybody else from changing rules until the transaction ends.

    The advisory lock comes first: changes through the API hold it before they hold anything else, so that they and
    this never wait for each other. The lock on the table is for whoever changes rules with a client of their own.
    """
    cursor.execute(query("take_rules_lock"), (RULES_LOCK,))
    cursor.execute(query("lock_rules_table"))
