"""Backtests and rule hygiene through the API, on a real audit log."""

import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon.testing
import gevent
import msgspec
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mutt.admin.services import backtests
from mutt.admin.services.backtest_tally import GROUPS
from mutt.admin.services.backtests import Backtests
from mutt.admin.services.hygiene import RuleHygiene
from mutt.admin.services.rule_values import judged, values_of
from mutt.admin.shapes.rules import BacktestRequest, RuleDraft
from mutt.errors import OutageError, RequestError
from mutt.events.event import Event
from mutt.redisdb import keys
from mutt.rules.decision import decide
from mutt.rules.rule import Rule, build_snapshot
from mutt.store import audit, rules
from mutt.store.audit import AuditRow
from mutt.store.pool import Database
from tests.support.postgres import open_database
from tests.support.web_ui import VIEWER, WebUIUnderTest

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
WINDOW = {"start": (NOW - HOUR).isoformat(), "end": NOW.isoformat()}


@pytest.fixture
def database(web_ui: WebUIUnderTest) -> Iterator[Database]:
    with open_database(web_ui.postgres, web_ui.database) as opened:
        yield opened


def draft(text: str = "link", **fields: Any) -> dict[str, Any]:
    return {
        "match_type": "contains", "match_string": text, "priority": 500, "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only", "team_assignment": "NETO", **fields,
    }  # fmt: skip


def store_rules(database: Database, *drafts: dict[str, Any]) -> list[int]:
    """Puts the rules into the table as they are; their ids."""
    values = [values_of(msgspec.convert(each, RuleDraft)) for each in drafts]
    return database.run(lambda connection: [each.id for each in rules.insert(connection.cursor(), values)])


def store_events(database: Database, *events: tuple[datetime, str, str, int | None, str | None]) -> list[Event]:
    """Writes audit rows that say that every event was paged about, which must not matter."""
    rows, stored = [], []
    for at, hostname, message, severity, oid in events:
        name = str(uuid.uuid4())
        stored.append(Event(name, name, at, at, hostname, message, None, severity, oid))
        rows.append(
            AuditRow(name, name, at, hostname, message, None, severity, oid, 77, "OLD", "Page_and_ticket", None, at, 1)
        )
    audit.write(database, rows)
    return stored


def said(message: str, seconds_ago: float = 10, hostname: str = "edge-1") -> tuple[Any, ...]:
    return NOW - timedelta(seconds=seconds_ago), hostname, message, 4, None


def test_a_draft_that_would_page(web_ui: WebUIUnderTest, database: Database) -> None:
    store_rules(database, draft("link", prod_handling="Log_only", team_assignment="CORE"))
    events = store_events(
        database, said("link " + "x" * 600, 30), said("link down", 20, "LAB-1"), said("fan", 10), said("link", -10)
    )
    web_ui.query("INSERT INTO development_hosts (hostname) VALUES ('lab-1')")
    answer = web_ui.call("POST", "/rules/backtest", {**WINDOW, "rule": draft(priority=900)}, key=VIEWER)
    assert answer.status_code == 200, answer.text
    result = answer.json
    assert (result["done"], result["events"], result["of"], result["cut_short"]) == (True, 3, 3, False)
    assert (result["matched"], result["unchanged"]) == (2, 1)
    assert (result["pages_now"], result["pages_then"], result["forwards_now"], result["forwards_then"]) == (0, 1, 0, 1)
    counts = {name: result[name]["count"] for name in GROUPS}
    assert counts == {
        "newly_page": 1, "stop_paging": 0, "newly_forward": 1, "stop_forwarding": 0, "change_team": 2,
        "change_handling": 1,
    }  # fmt: skip
    (sample,) = result["newly_page"]["samples"]
    assert sample["correlation_id"] == events[0].correlation_id
    assert (sample["message"], len(sample["message"])) == (events[0].message[:500], 500)
    assert (sample["handling_now"], sample["handling_then"]) == ("Log_only", "Page_and_ticket")
    assert (sample["team_now"], sample["team_then"], sample["rule_now"], sample["rule_then"]) == ("CORE", "NETO", 1, 0)


def test_a_new_rule_is_tried_after_the_others_of_its_priority(web_ui: WebUIUnderTest, database: Database) -> None:
    store_rules(database, draft(prod_handling="Log_only"))
    store_events(database, said("link"))
    result = web_ui.call("POST", "/rules/backtest", {**WINDOW, "rule": draft()}).json
    assert (result["matched"], result["unchanged"]) == (0, 1)


def test_progress_comes_as_lines(web_ui: WebUIUnderTest, database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(backtests, "BATCH", 2)
    monkeypatch.setattr(backtests, "PROGRESS_SECONDS", 0)
    store_events(database, *(said(f"link {number}") for number in range(5)))
    answer = web_ui.call(
        "POST", "/rules/backtest", {**WINDOW, "rule": draft()}, headers={"Accept": "application/x-ndjson"}
    )
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["events"] for line in lines] == [0, 2, 4, 5, 5]
    assert [line["done"] for line in lines] == [False] * 4 + [True]
    assert [line["newly_page"]["count"] for line in lines] == [0, 2, 4, 5, 5]


def test_the_newest_events_are_judged_once_each(database: Database, monkeypatch: Any) -> None:
    """Whole batches of one timestamp, and batches that end within one."""
    monkeypatch.setattr(backtests, "BATCH", 7)
    store_events(database, *(said(f"link {number}", seconds_ago=100 + number // 10) for number in range(50)))
    request = BacktestRequest(start=NOW - HOUR, end=NOW, rule=_draft(), samples=50)
    for most, expected in ((1000, 50), (50, 50), (49, 49), (23, 23)):
        request.most_events = most
        *_, last = Backtests(database).run(request)
        assert (last.events, last.of, last.cut_short) == (expected, expected, expected < 50)
        messages = [sample.message for sample in last.newly_page.samples]
        assert len(set(messages)) == expected
        assert {int(message.split()[1]) // 10 for message in messages} == set(range(-(-expected // 10)))


def test_start_is_included_and_end_is_not(database: Database) -> None:
    store_events(database, *(said("link", seconds) for seconds in (0, 1, 2, 3)))
    request = BacktestRequest(
        start=(NOW - timedelta(seconds=2)).replace(tzinfo=None), end=NOW.replace(tzinfo=None), rule=_draft()
    )
    *_, last = Backtests(database).run(request)
    assert (last.of, last.events, last.newly_page.count) == (2, 2, 2)


def test_no_events_at_all(web_ui: WebUIUnderTest) -> None:
    result = web_ui.call("POST", "/rules/backtest", {**WINDOW, "rule": draft()}).json
    assert (result["done"], result["events"], result["of"]) == (True, 0, 0)


def test_every_trial_counts_what_plain_decisions_give(web_ui: WebUIUnderTest, database: Database) -> None:
    chance = random.Random(7)
    words = ("link", "down", "fan", "bgp", "up")
    store_rules(database, *(_any_rule(chance, words) for _ in range(12)))
    # A rule that an older program stored and that nobody can use.
    web_ui.query(
        "INSERT INTO alert_rules (match_string, match_type, priority, prod_handling, dev_handling, team_assignment) "
        "VALUES ('(', 'regex', 1000, 'Log_only', 'Log_only', 'X')"
    )
    web_ui.query("UPDATE alert_rules SET is_active = false WHERE id IN (3, 4)")
    web_ui.query("INSERT INTO development_hosts (hostname) VALUES ('EDGE-2')")
    web_ui.query("INSERT INTO device_teams (hostname, team_assignment) VALUES ('edge-3', 'OWN')")
    events = store_events(
        database,
        *(
            (
                NOW - timedelta(seconds=number + 1), f"Edge-{chance.randint(1, 4)}",
                " ".join(chance.choices(words, k=3)), chance.choice((None, 2, 5)), chance.choice((None, ".1.3.6.1")),
            )
            for number in range(200)
        ),
    )  # fmt: skip
    stored, hosts, teams = rules.load_stored(database)
    now = [judged(row.id, row.values) for row in stored if row.is_active]

    def without(rule_id: int) -> list[Rule]:
        return [rule for rule in now if rule.id != rule_id]

    trials: list[tuple[dict[str, Any], list[Rule]]] = []
    for rule_id in (1, 2, 3):
        trials.append(({"remove": True, "rule_id": rule_id}, without(rule_id)))
        given = _any_rule(chance, words)
        trials.append(({"rule": given, "rule_id": rule_id}, [*without(rule_id), _judged(given, rule_id)]))
        given = _any_rule(chance, words)
        trials.append(({"rule": given}, [*now, _judged(given, 10_000)]))
    trials.append(({"rule": {**_any_rule(chance, words), "is_active": False}, "rule_id": 1}, without(1)))
    whole = [_any_rule(chance, words) for _ in range(6)]
    trials.append(({"rules": whole}, [_judged(each, place) for place, each in enumerate(whole, 1)]))
    trials.append(({"rules": []}, []))
    for body, then in trials:
        result = web_ui.call("POST", "/rules/backtest", {**WINDOW, **body, "samples": 0}).json
        pairs = [
            (decide(event, build_snapshot(now, hosts, teams)), decide(event, build_snapshot(then, hosts, teams)))
            for event in events
        ]
        assert result["events"] == 200
        assert {name: result[name]["count"] for name in GROUPS} == _groups(pairs)
        assert result["pages_now"] == sum(old.handling == "Page_and_ticket" for old, _ in pairs)
        assert result["pages_then"] == sum(new.handling == "Page_and_ticket" for _, new in pairs)
        assert result["forwards_now"] == sum(old.forward for old, _ in pairs)
        assert result["forwards_then"] == sum(new.forward for _, new in pairs)
        assert result["unchanged"] == sum((old.handling, old.team) == (new.handling, new.team) for old, new in pairs)


def _groups(pairs: list[Any]) -> dict[str, int]:
    return {
        "newly_page": sum(o.handling != "Page_and_ticket" == n.handling for o, n in pairs),
        "stop_paging": sum(n.handling != "Page_and_ticket" == o.handling for o, n in pairs),
        "newly_forward": sum(n.forward and not o.forward for o, n in pairs),
        "stop_forwarding": sum(o.forward and not n.forward for o, n in pairs),
        "change_team": sum(o.team != n.team for o, n in pairs),
        "change_handling": sum(o.handling != n.handling for o, n in pairs),
    }


def _any_rule(chance: random.Random, words: tuple[str, ...]) -> dict[str, Any]:
    kind = chance.choice(("contains", "regex", "oid_prefix"))
    text = f"{chance.choice(words)}.*{chance.choice(words)}" if kind == "regex" else chance.choice(words)
    return draft(
        None if kind == "oid_prefix" else text, match_type=kind, priority=chance.randint(1, 5),
        trap_oid=chance.choice(("1.3.6", "1.3.6.1.1")) if kind == "oid_prefix" else None,
        syslog_severity=chance.choice((None, 3, 6)),
        prod_handling=chance.choice(("Page_and_ticket", "Ticket_only", "Log_only")),
        dev_handling=chance.choice(("Ticket_only", "Suppress")), team_assignment=chance.choice(("NETO", "CORE")),
    )  # fmt: skip


def _draft(**fields: Any) -> RuleDraft:
    return msgspec.convert(draft(**fields), RuleDraft)


def _judged(given: dict[str, Any], rule_id: int) -> Rule:
    return judged(rule_id, values_of(msgspec.convert(given, RuleDraft)))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "rule"),
        ({"rule": draft(), "remove": True, "rule_id": 1}, 400, "rule"),
        ({"rule": draft(), "rules": []}, 400, "rule"),
        ({"remove": True}, 400, "rule_id"),
        ({"rules": [], "rule_id": 1}, 400, "rule_id"),
        ({"rule": draft(), "rule_id": 4711}, 404, "rule_id"),
        ({"rule": draft("(", match_type="regex")}, 400, "rule.match_string"),
        ({"rules": [draft(), draft(match_type="oid_prefix")]}, 400, "rules[1].trap_oid"),
        ({"rule": draft(), "start": WINDOW["end"], "end": WINDOW["start"]}, 400, "end"),
    ],
)
def test_what_cannot_be_tried(web_ui: WebUIUnderTest, body: dict[str, Any], status: int, field: str) -> None:
    """The status says so even to a caller that takes lines."""
    refused = web_ui.call("POST", "/rules/backtest", {**WINDOW, **body}, headers={"Accept": "application/x-ndjson"})
    assert (refused.status_code, refused.json["field"]) == (status, field), refused.text


def test_more_than_two_at_once_are_refused(database: Database) -> None:
    service, request = Backtests(database), BacktestRequest(start=NOW - HOUR, end=NOW, rule=_draft())
    running = [service.run(request), service.run(request)]
    with pytest.raises(RequestError, match="2 backtests are running") as refused:
        service.run(request)
    assert refused.value.status == 409
    # Refused for another reason: it takes no place.
    with pytest.raises(RequestError):
        service.run(BacktestRequest(start=NOW, end=NOW, rule=_draft()))
    running.pop()
    *_, last = service.run(request)
    assert last.done


def test_the_work_stops_when_the_client_has_gone(web_ui: WebUIUnderTest, database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(backtests, "BATCH", 1)
    monkeypatch.setattr(backtests, "PROGRESS_SECONDS", 0)
    read: list[int] = []
    plain_batch = backtests.backtest._batch
    monkeypatch.setattr(backtests.backtest, "_batch", lambda *given: read.append(1) or plain_batch(*given))
    store_events(database, *(said(f"link {number}") for number in range(20)))
    app: Any = web_ui.client.app
    for _ in range(4):
        # What gunicorn does with an answer whose client has gone. Were a place kept, the third would be refused.
        environ = falcon.testing.create_environ(
            "/api/v2/rules/backtest", method="POST", body=json.dumps({**WINDOW, "rule": draft()}),
            headers={"X-API-KEY": VIEWER, "Accept": "application/x-ndjson", "Content-Type": "application/json"},
        )  # fmt: skip
        answer = app(environ, falcon.testing.StartResponseMock())
        lines = iter(answer)
        assert json.loads(next(lines))["of"] == 20
        assert json.loads(next(lines))["events"] == 1
        answer.close()
        gevent.sleep(0)
        assert sum(read) == 1
        read.clear()


def test_the_web_ui_answers_meanwhile(web_ui: WebUIUnderTest, database: Database, monkeypatch: Any) -> None:
    """Even while a single batch is judged that is ten times as large as they are."""
    monkeypatch.setattr(backtests, "BATCH", 100_000)
    store_rules(database, *(draft(f"thing{number}.*failed", match_type="regex") for number in range(60)))
    web_ui.query(
        "INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, handling, "
        "ingestion_timestamp, content_hash) SELECT gen_random_uuid(), gen_random_uuid(), %s::timestamptz - "
        "number * interval '20 ms', 'edge-' || number %% 50, 'link ' || number || ' down', 'Log_only', now(), 1 "
        "FROM generate_series(1, 100000) AS number",
        NOW,
    )
    answers: list[float] = []
    task = gevent.spawn(web_ui.call, "POST", "/rules/backtest", {**WINDOW, "rule": draft()})
    try:
        while not task.ready():
            asked = time.monotonic()
            assert web_ui.client.simulate_get("/health").status_code in (200, 503)
            answers.append(time.monotonic() - asked)
    finally:
        task.join(30)
    result = task.get().json
    assert result["newly_page"]["count"] == 100_000
    assert len(answers) > 3
    assert max(answers) < min(2, result["seconds"] / 2)


# --- hygiene ------------------------------------------------------------------------------------------------------


def test_hygiene_names_what_wants_a_look(web_ui: WebUIUnderTest, database: Database) -> None:
    store_rules(
        database,
        draft("down", priority=900),
        draft("link down"),
        draft("down", priority=100),
        draft("quiet"),
        draft("once"),
        draft("young"),
        draft("switched off", is_active=False),
        draft("down", priority=1, is_active=False),
    )
    web_ui.query("ALTER TABLE alert_rules DISABLE TRIGGER USER")
    web_ui.query("UPDATE alert_rules SET match_type = 'regex', match_string = '(' WHERE id = 4")
    web_ui.query("UPDATE alert_rules SET created_at = now() - interval '40 days'")
    web_ui.query("UPDATE alert_rules SET updated_at = created_at WHERE id <> 6")
    web_ui.query("ALTER TABLE alert_rules ENABLE TRIGGER USER")
    web_ui.redis().hset(keys.rule_hits((datetime.now(UTC) - timedelta(days=6)).strftime("%Y%m%d")), "5", 1)
    answer = web_ui.call("GET", "/rules/hygiene?days=7", key=VIEWER)
    assert answer.status_code == 200, answer.text
    found = {each["rule_id"]: (each["kind"], each.get("by")) for each in answer.json["findings"]}
    assert found == {
        1: ("unused", None), 2: ("shadowed", 1), 3: ("duplicate", 1), 4: ("unusable", None),
    }  # fmt: skip
    assert answer.json["days"] == 7
    assert all(each["sentence"].endswith(".") for each in answer.json["findings"])
    found = {each["rule_id"] for each in web_ui.call("GET", "/rules/hygiene?days=3").json["findings"]}
    assert found == {1, 2, 3, 4, 5}


def test_hygiene_without_redis_says_so(database: Database) -> None:
    """An outage is no reason to call a rule unused."""
    nobody = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    with pytest.raises(OutageError):
        RuleHygiene(database, nobody).look(7)
