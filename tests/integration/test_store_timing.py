"""How long statements take is told by the name of their file."""

import pytest

from mutt.errors import DataError
from mutt.store.connections import Connection
from mutt.store.named import query
from mutt.store.timing import operations
from tests.support.postgres import PrivatePostgres, open_database


def test_an_observer_is_told_how_long_each_statement_took(postgres_server: PrivatePostgres) -> None:
    told: list[tuple[str, float]] = []

    def work(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute(query("applied_migrations"))
            cursor.execute("SELECT pg_sleep(0.05)")

    with open_database(postgres_server, observe=lambda name, seconds: told.append((name, seconds))) as database:
        database.run(work)
    seconds = dict(told)
    assert 0 < seconds["applied_migrations"] < 5
    assert 0.05 < seconds["other"] < 5


def test_a_statement_that_fails_is_told_of_too(postgres_server: PrivatePostgres) -> None:
    told: list[str] = []

    def work(connection: Connection) -> None:
        connection.cursor().execute("SELECT 1/0")

    observed = open_database(postgres_server, observe=lambda name, _seconds: told.append(name))
    with observed as database, pytest.raises(DataError):
        database.run(work)
    assert told.count("other") >= 1


def test_whatever_is_told_has_its_label_at_start() -> None:
    assert {"applied_migrations", "missing_partitions", "other"} <= set(operations())
