"""Reads what the alerter judges by: rules, development hosts and the teams of devices, all of one moment."""

from typing import NamedTuple

from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.pool import Database


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


Snapshot = tuple[list[RuleRow], frozenset[str], dict[str, str]]
"""The active rules in the order they are tried; development hosts; teams by host. Host names are in lower case."""


def load(database: Database) -> Snapshot:
    """The three as they stood at one moment: a change that touches two of them is seen whole. Raises OutageError."""
    return database.run(_load)


def _load(connection: Connection) -> Snapshot:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(query("active_rules"))
        rules = [RuleRow(*row) for row in cursor]
        cursor.execute(query("development_host_names"))
        # Lowered here and not in SQL, so that it is done as the alerter does it for the events.
        hosts = frozenset(hostname.lower() for (hostname,) in cursor)
        cursor.execute(query("device_team_names"))
        teams = {hostname.lower(): team for hostname, team in cursor}
    return rules, hosts, teams
