"""What the alerter reads from PostgreSQL, and the delivery log that the forwarder writes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - the name a type should have

from mutt.errors import DataError
from mutt.store import deliveries, rules
from mutt.store.deliveries import DeliveryRow
from mutt.store.named import query
from mutt.store.pool import Database
from mutt.store.rules import RuleRow
from tests.support.postgres import PrivatePostgres, open_database


@pytest.fixture
def database(postgres_server: PrivatePostgres) -> Iterator[Database]:
    with open_database(postgres_server) as database:
        yield database


def execute(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    def work(connection: Connection) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor) if cursor.description else []

    return database.run(work)


# --- rules ----------------------------------------------------------------------------------------------------


def test_the_example_rules_in_the_order_they_are_tried(database: Database) -> None:
    found, _, _ = rules.load(database)

    assert found == [
        RuleRow(1, "CRITICAL", None, None, "contains", 900, "Page_and_ticket", "Ticket_only", "NETO"),
        RuleRow(2, "Interface.*down", None, None, "regex", 800, "Page_and_ticket", "Email_only", "NETO"),
        RuleRow(3, "disk.*full", None, None, "regex", 700, "Ticket_only", "Log_only", "UNIX"),
    ]


def test_rules_of_one_priority_by_age_and_inactive_ones_not_at_all(database: Database) -> None:
    insert = (
        "INSERT INTO alert_rules"
        " (id, syslog_severity, match_type, priority, prod_handling, dev_handling, team_assignment)"
        " VALUES (%s, 3, 'contains', %s, 'Log_only', 'Suppress', 'DBA')"
    )
    for rule_id, priority in ((30, 1000), (12, 5), (11, 5), (13, 5)):
        execute(database, insert, rule_id, priority)
    execute(database, "UPDATE alert_rules SET is_active = false WHERE id IN (1, 2, 13)")

    found, _, _ = rules.load(database)

    assert [rule.id for rule in found] == [30, 3, 11, 12]


def test_hosts_and_teams_in_lower_case(database: Database) -> None:
    execute(database, "INSERT INTO development_hosts (hostname) VALUES ('Lab-RTR-1'), ('lab-rtr-2'), ('ÄSW-1')")
    execute(database, "INSERT INTO device_teams (hostname, team_assignment) VALUES ('DB-01', 'DBA'), ('web', 'UNIX')")

    _, hosts, teams = rules.load(database)

    assert hosts == frozenset({"lab-rtr-1", "lab-rtr-2", "äsw-1"})
    assert teams == {"db-01": "DBA", "web": "UNIX"}


def test_reading_rules_leaves_the_session_able_to_write(database: Database) -> None:
    rules.load(database)

    execute(database, "INSERT INTO development_hosts (hostname) VALUES ('after')")

    assert rules.load(database)[1] == frozenset({"after"})


def test_all_three_are_of_one_moment(
    database: Database, postgres_server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading of the rules and of the hosts somebody changes both."""
    name = database.run(lambda connection: connection.info.dbname)

    def query_with_a_change_before_it(statement: str) -> str:
        if statement == "development_host_names":
            postgres_server.execute("INSERT INTO development_hosts (hostname) VALUES ('too-late')", name)
            postgres_server.execute("DELETE FROM alert_rules", name)
        return query(statement)

    monkeypatch.setattr(rules, "query", query_with_a_change_before_it)
    found, hosts, _ = rules.load(database)

    assert (len(found), hosts) == (3, frozenset())


# --- deliveries -----------------------------------------------------------------------------------------------


def delivery(**changes: Any) -> DeliveryRow:
    row = DeliveryRow(str(uuid4()), str(uuid4()), 1, datetime.now(UTC), "delivered", 202, None, 12.5)
    return row._replace(**changes)


def test_attempts_are_stored_as_they_were(database: Database) -> None:
    written = [
        delivery(),
        delivery(outcome="retry", status_code=None, reason="timeout\n\\", latency_ms=None, attempt=3),
        delivery(outcome="dead_letter", status_code=400, reason="refused_by_receiver"),
        delivery(attempted_at=datetime(2001, 1, 1, tzinfo=UTC)),
    ]

    deliveries.write(database, written)

    columns = ", ".join(DeliveryRow._fields)
    stored = execute(database, f"SELECT {columns} FROM alert_delivery_log ORDER BY attempted_at")  # noqa: S608
    assert sorted(map(tuple, written), key=lambda row: row[3]) == stored


def test_a_row_that_cannot_be_stored_leaves_none(database: Database) -> None:
    with pytest.raises(DataError, match="alert_delivery_log_outcome"):
        deliveries.write(database, [delivery(), delivery(outcome="forgotten")])

    assert execute(database, "SELECT count(*) FROM alert_delivery_log") == [(0,)]


def test_nothing_to_store_is_no_work(postgres_server: PrivatePostgres) -> None:
    with open_database(postgres_server, "does_not_exist") as database:
        deliveries.write(database, [])


# --- named queries --------------------------------------------------------------------------------------------


def test_every_query_says_in_its_first_line_what_it_is_for() -> None:
    from importlib.resources import files

    queries = list(files("mutt.store").joinpath("queries").iterdir())
    assert queries
    for file in queries:
        assert file.name.endswith(".sql")
        assert query(file.name.removesuffix(".sql")).startswith("-- ")
