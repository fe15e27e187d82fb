"""The alerter's copy of the rules: made anew when they have changed, never older than what it was before."""

from dataclasses import replace
from typing import Any

import gevent
import pytest
from prometheus_client import CollectorRegistry

from mutt.observability.metrics import AlerterMetrics
from mutt.rules.rule import Handling, MatchType
from mutt.store import rules
from mutt.store.pool import Database
from mutt.store.rules import RuleValues
from mutt.workers.rule_cache import RuleCache
from tests.support.postgres import PASSWORD, Passwords, PrivatePostgres


@pytest.fixture
def database(postgres_server: PrivatePostgres) -> Any:
    own = Database(postgres_server.settings(postgres_server.create_migrated_database()), Passwords(PASSWORD), "test")
    yield own
    own.close()


def a_cache(database: Database) -> RuleCache:
    return RuleCache(database, AlerterMetrics(CollectorRegistry()), lambda: 300.0)


def add(database: Database, text: str) -> None:
    values = RuleValues(
        text, None, None, str(MatchType.CONTAINS), 1, Handling.LOG_ONLY, Handling.LOG_ONLY, "NETO", True
    )  # fmt: skip
    database.run(lambda connection: rules.insert(connection.cursor(), [values]))


def test_what_it_loads_has_an_index(database: Database) -> None:
    cache = a_cache(database)
    add(database, "fan")
    cache.load()
    assert cache.snapshot.index is not None
    assert "fan" in [rule.substring for rule in cache.snapshot.rules]


def test_rules_that_have_not_changed_are_not_compiled_again(database: Database) -> None:
    cache = a_cache(database)
    cache.load()
    before = cache.snapshot
    cache.load()
    assert cache.snapshot is before
    add(database, "fan")
    cache.load()
    assert len(cache.snapshot.rules) == len(before.rules) + 1
    assert cache.snapshot.index is not before.index


def test_a_slow_load_does_not_replace_a_later_one(database: Database, monkeypatch: Any) -> None:
    """The rules it has read are old by the time it is done."""
    cache, read = a_cache(database), rules.load
    first, go_on = gevent.event.Event(), gevent.event.Event()

    def slow_at_first(asked: Database) -> Any:
        loaded = read(asked)
        if not first.is_set():
            first.set()
            go_on.wait()
        return loaded

    monkeypatch.setattr(rules, "load", slow_at_first)
    slow = gevent.spawn(cache.load)
    first.wait()
    add(database, "fan")
    later = gevent.spawn(cache.load)
    gevent.sleep(0)
    go_on.set()
    gevent.joinall([slow, later], raise_error=True)
    assert "fan" in [rule.substring for rule in cache.snapshot.rules]


def test_a_snapshot_of_other_rules_has_no_index(database: Database) -> None:
    cache = a_cache(database)
    cache.load()
    assert replace(cache.snapshot, rules=()).index is None
