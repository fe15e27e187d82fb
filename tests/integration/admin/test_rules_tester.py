"""The rule tester: what it says is what the worker does."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from mutt.events import alert, event
from mutt.events.admit import Limits, admit
from mutt.events.ids import IdSource
from mutt.moogsoft import payload
from mutt.rules.decision import alert_of, decide
from mutt.rules.rule import build_snapshot
from mutt.settings import DatabaseSettings
from mutt.store import rules
from mutt.store.pool import Database
from tests.support.postgres import PASSWORD, Passwords
from tests.support.rule_drafts import create, draft
from tests.support.web_ui import VIEWER, WebUIUnderTest

EVENT_ID_FIELDS = ("event_id", "ingestion_timestamp")


def an_event(**changes: Any) -> dict[str, Any]:
    fields = {
        "timestamp": "2026-01-31T10:00:00+01:00", "hostname": "edge-1", "message": "LINK DOWN on Gi0/1",
        "source": "syslog", "syslog_severity": "2", "correlation_id": "0b0e9d3a-6d3f-4c57-9d0e-2f1f6f0c1a11",
        "rack": {"row": 7}, **changes,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


def try_out(web_ui: WebUIUnderTest, body: dict[str, Any]) -> dict[str, Any]:
    answer = web_ui.call("POST", "/rules/test", body, key=VIEWER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def tried(answer: dict[str, Any]) -> list[tuple[int, bool]]:
    return [(line["rule_id"], line["matched"]) for line in answer["trace"]]


def as_the_worker_does(web_ui: WebUIUnderTest, item: dict[str, Any], payload_format: str) -> dict[str, Any]:
    """The answer of the tester, made of ingest's, the alerter's and the forwarder's own functions."""
    postgres = web_ui.postgres
    settings: DatabaseSettings = postgres.settings(web_ui.database)
    database = Database(settings, Passwords(PASSWORD), "test")
    rows, hosts, teams = rules.load(database)
    database.close()
    admitted = event.decode(event.encode(admit(item, datetime.now(UTC), IdSource(), Limits())))
    decision = decide(admitted, build_snapshot(map(rules.as_rule, rows), hosts, teams))
    sent = alert.decode(alert.encode(alert_of(admitted, decision)))
    body = msgspec.json.decode(payload.encode([sent], payload_format))
    return {
        "handling": decision.handling, "team": decision.team, "environment": decision.environment,
        "forward": decision.forward, "rule_id": decision.rule_id,
        "payload": (body if payload_format == "cloud" else body["events"])[0] if decision.forward else None,
    }  # fmt: skip


@pytest.fixture
def with_rules(web_ui: WebUIUnderTest) -> WebUIUnderTest:
    create(web_ui, match_string="fan", priority=900)
    create(web_ui, match_type="regex", match_string="LINK (DOWN|FLAP)", priority=800, team_assignment="CORE")
    create(web_ui, match_type="oid_prefix", match_string=None, trap_oid="1.3.6", prod_handling="Email_only")
    create(web_ui, match_string=None, syslog_severity=1, prod_handling="Ticket_only", dev_handling="Suppress")
    web_ui.query("INSERT INTO development_hosts (hostname) VALUES ('Lab-1')")
    web_ui.query("INSERT INTO device_teams (hostname, team_assignment) VALUES ('DB-1', 'DBA')")
    return web_ui


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hostname": "lab-1"},
        {"hostname": "db-1"},
        {"message": "fan failed", "syslog_severity": None},
        {"message": "x", "trap_oid": ".1.3.6.1", "syslog_severity": None},
        {"message": "x", "syslog_severity": 0},
        {"message": "x", "syslog_severity": 5},
        {"message": "LINK DOWN" + "ü" * 70_000},
        {"message": "LINK DOWN\0", "hostname": "  edge-9 "},
    ],
)
def test_it_says_what_the_worker_does(with_rules: WebUIUnderTest, changes: dict[str, Any]) -> None:
    item = an_event(**changes)
    answer, expected = try_out(with_rules, {"event": item}), as_the_worker_does(with_rules, item, "enterprise")

    said = {name: answer["decision"][name] for name in ("handling", "team", "environment", "forward")}
    said |= {"rule_id": answer["rule_id"], "payload": answer["payload"]}
    for each in (said, expected):
        if each["payload"] is not None:
            each["payload"]["custom_info"].pop("event_id")
    assert said == expected


def test_the_event_is_shown_as_ingest_stores_it(web_ui: WebUIUnderTest) -> None:
    shown = try_out(web_ui, {"event": an_event()})["event"]
    assert {name: value for name, value in shown.items() if name not in EVENT_ID_FIELDS} == {
        "correlation_id": "0b0e9d3a-6d3f-4c57-9d0e-2f1f6f0c1a11", "timestamp": "2026-01-31T09:00:00Z",
        "hostname": "edge-1", "message": "LINK DOWN on Gi0/1", "source": "syslog", "syslog_severity": 2,
        "attributes": {"rack": {"row": 7}},
    }  # fmt: skip


def test_an_event_that_no_rule_matches(web_ui: WebUIUnderTest) -> None:
    answer = try_out(web_ui, {"event": an_event()})
    assert answer["decision"] == {
        "handling": "Log_only", "team": None, "environment": "production", "forward": False,
        "unhandled_pattern": "syslog:LINK DOWN on <if>",
    }  # fmt: skip
    assert (answer["rule_id"], answer["trace"], answer["payload"]) == (None, [], None)


def test_the_trace_names_each_rule_until_one_matches(with_rules: WebUIUnderTest) -> None:
    answer = try_out(with_rules, {"event": an_event()})
    assert tried(answer) == [(1, False), (2, True)]
    assert answer["trace"][0]["why"] == "the message does not contain 'fan'"


def test_a_draft_comes_after_the_rules_of_its_priority(web_ui: WebUIUnderTest) -> None:
    stored = create(web_ui)
    body = {"event": an_event(), "rule": draft(team_assignment="NEW")}

    assert tried(try_out(web_ui, body)) == [(stored, True)]
    web_ui.call("POST", "/rules", body["rule"])
    assert tried(try_out(web_ui, {"event": an_event()})) == [(stored, True)]

    higher = try_out(web_ui, {"event": an_event(), "rule": draft(team_assignment="NEW", priority=501)})
    assert (tried(higher), higher["rule_id"], higher["decision"]["team"]) == ([(0, True)], 0, "NEW")
    assert higher["payload"]["class"] == "NEW"


def test_a_draft_in_the_place_of_a_rule(web_ui: WebUIUnderTest) -> None:
    first, second = create(web_ui), create(web_ui)
    body = {"event": an_event(), "rule": draft(match_string="nothing like it"), "rule_id": first}
    assert tried(try_out(web_ui, body)) == [(first, False), (second, True)]

    web_ui.call("DELETE", f"/rules/{second}")
    body = {"event": an_event(), "rule": draft(team_assignment="BACK"), "rule_id": second}
    web_ui.call("PUT", f"/rules/{first}", {"match_string": "other"})
    answer = try_out(web_ui, body)
    assert (tried(answer), answer["decision"]["team"]) == ([(first, False), (second, True)], "BACK")

    off = try_out(web_ui, {"event": an_event(), "rule": draft(is_active=False), "rule_id": second})
    assert (tried(off), off["rule_id"]) == ([(first, False)], None)


@pytest.mark.parametrize(
    ("body", "status", "field", "sentence"),
    [
        ({"event": {"message": "x", "hostname": "y"}}, 400, "event.timestamp", "timestamp is required"),
        ({"event": an_event(severity=9, syslog_severity=None)}, 400, "event.severity", "severity must be a number"),
        ({"event": an_event(hostname=7)}, 400, "event.hostname", "hostname must be a string"),
        ({"event": an_event(big="x" * 300_000)}, 400, "event", "the fields beside message take"),
        ({"event": an_event(), "rule": draft(match_type="regex", match_string="(")}, 400, "rule.match_string", "RE2"),
        ({"event": an_event(), "rule": draft(), "rule_id": 4711}, 404, "rule_id", "there is no rule 4711"),
        ({"event": an_event(), "rule_id": 1}, 400, "rule", "rule is required with rule_id"),
        ({"event": "x"}, 400, "event", "expected 'object'"),
    ],
)
def test_what_cannot_be_tested_is_named(
    web_ui: WebUIUnderTest, body: dict[str, Any], status: int, field: str, sentence: str
) -> None:
    refused = web_ui.call("POST", "/rules/test", body)
    assert (refused.status_code, refused.json["field"]) == (status, field)
    assert sentence in refused.json["error"]


def test_nothing_is_queued_and_nothing_is_stored(with_rules: WebUIUnderTest) -> None:
    before = sorted(with_rules.redis().keys())
    try_out(with_rules, {"event": an_event(), "rule": draft()})
    assert sorted(with_rules.redis().keys()) == before
    assert with_rules.query("SELECT count(*) FROM event_audit_log") == [(0,)]
    assert with_rules.query("SELECT count(*) FROM alert_rules") == [(4,)]


def test_the_payload_is_in_the_format_of_the_forwarder(with_rules: WebUIUnderTest) -> None:
    cloud = WebUIUnderTest(with_rules.redis_server, with_rules.postgres, MOOG_FORMAT="cloud")
    create(cloud, priority=1000)

    sent = try_out(cloud, {"event": an_event()})["payload"]

    expected = as_the_worker_does(cloud, an_event(), "cloud")["payload"]
    for each in (sent, expected):
        each["tags"].pop("event_id")
    assert sent == expected
    assert sent["check"] == "syslog"
