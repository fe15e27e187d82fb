"""Rules as code: exported, planned, applied as a whole or not at all."""

import time
from typing import Any

import falcon.testing
import gevent
import msgspec
import pytest
import yaml

from mutt.redisdb import keys
from tests.support.rule_drafts import create, draft
from tests.support.waiting import wait_until
from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest


def exported(web_ui: WebUIUnderTest, query: str = "") -> dict[str, Any]:
    answer = web_ui.call("GET", f"/rules/export?format=json&{query}", key=VIEWER)
    assert answer.status_code == 200
    return dict(answer.json)


def planned(web_ui: WebUIUnderTest, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = web_ui.call("POST", "/rules/plan", {"rules": rules, **more}, key=VIEWER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def applied(web_ui: WebUIUnderTest, *rules: dict[str, Any], **more: Any) -> falcon.testing.Result:
    return web_ui.call("POST", "/rules/apply", {"rules": rules, **more}, key=OPERATOR)


def counts(plan: dict[str, Any]) -> tuple[int, int, int, int]:
    return plan["creates"], plan["updates"], plan["deletes"], plan["unchanged"]


def table(web_ui: WebUIUnderTest) -> list[tuple[Any, ...]]:
    return web_ui.query("SELECT id, match_string, priority, is_active, updated_at FROM alert_rules ORDER BY id")


def example(message: str = "LINK DOWN", **more: Any) -> dict[str, Any]:
    event = {"hostname": "edge-1", "timestamp": "2026-01-31T10:00:00Z", "message": message}
    return {"event": {**event, **more.pop("event", {})}, **more}


# --- export ---------------------------------------------------------------------------------------------------


ODD_TEXTS = (
    "yes", "null", "1.5", "0x1F", "- a: b # c", " 'x' \"y\" ", "a\nb\tc", "ü🔥\u2028\x85\x7f", "2026-01-31", "*a", "=",
)  # fmt: skip


def test_what_is_exported_plans_to_nothing(web_ui: WebUIUnderTest) -> None:
    for text in ODD_TEXTS:
        create(web_ui, match_string=text, team_assignment=text)
    create(web_ui, match_type="oid_prefix", match_string=None, trap_oid="1.3", syslog_severity=0, priority=9)
    create(web_ui, match_string="off", is_active=False)
    broken = create(web_ui, match_type="regex")
    web_ui.query("UPDATE alert_rules SET match_string = 'a**(' WHERE id = %s", broken)

    document = web_ui.call("GET", "/rules/export?include_inactive=true", key=VIEWER)
    assert document.headers["Content-Type"] == "application/yaml"
    assert document.text.startswith("# ")
    for text, media_type in (
        (document.content, "application/yaml"),
        (msgspec.json.encode(exported(web_ui, "include_inactive=true")), "application/json"),
    ):
        answer = web_ui.client.simulate_post(
            "/api/v2/rules/plan", body=text, headers={"X-API-KEY": VIEWER, "Content-Type": media_type}
        )
        assert counts(answer.json) == (0, 0, 0, len(ODD_TEXTS) + 3), answer.text
        assert answer.json["changes"] == []
    assert yaml.safe_load(document.text) == exported(web_ui, "include_inactive=true")


def test_rules_are_exported_in_the_order_they_are_tried(web_ui: WebUIUnderTest) -> None:
    low, high, off = create(web_ui, priority=1), create(web_ui, priority=9), create(web_ui, is_active=False)
    assert [rule["id"] for rule in exported(web_ui)["rules"]] == [high, low]
    everything = exported(web_ui, "include_inactive=true")
    assert everything["version"] == 1
    assert everything["rules"][0] == {"id": off, **draft(), "is_active": False}
    assert everything["rules"][1] == {"id": high, **draft(priority=9)}


def test_an_empty_rule_set(web_ui: WebUIUnderTest) -> None:
    assert exported(web_ui) == {"version": 1, "rules": []}
    assert counts(planned(web_ui)) == (0, 0, 0, 0)


# --- plan -----------------------------------------------------------------------------------------------------


def test_a_plan_says_what_would_change_and_changes_nothing(web_ui: WebUIUnderTest) -> None:
    same, other, left = create(web_ui), create(web_ui, match_string="fan"), create(web_ui, match_string="left")
    before = table(web_ui)

    document = [draft(), {**draft(match_string="fan 7"), "id": other}, draft(match_string="new", priority=7)]
    plan = planned(web_ui, *document, prune=True)

    assert counts(plan) == (1, 1, 1, 1)
    update, new, delete = plan["changes"]
    assert (update["action"], update["rule_id"], update["index"]) == ("update", other, 1)
    assert update["changes"] == [{"field": "match_string", "old": "fan", "new": "fan 7"}]
    assert (new["action"], new["rule_id"], new["index"]) == ("create", None, 2)
    assert {"field": "priority", "old": None, "new": 7} in new["changes"]
    assert (delete["action"], delete["rule_id"], delete["index"]) == ("delete", left, None)
    assert delete["changes"] == [{"field": "is_active", "old": True, "new": False}]
    assert plan["applied"] is False
    assert (table(web_ui), same) == (before, before[0][0])
    assert counts(planned(web_ui, *document)) == (1, 1, 0, 1)


def test_rules_without_an_id_are_found_by_their_conditions(web_ui: WebUIUnderTest) -> None:
    off = create(web_ui, match_string="a", is_active=False)
    first, second = create(web_ui, match_string="a"), create(web_ui, match_string="a")

    wanted = draft(match_string="a", priority=3)
    plan = planned(web_ui, wanted, wanted, wanted, wanted)

    assert [change["rule_id"] for change in plan["changes"]] == [first, second, off, None]
    claimed = planned(web_ui, wanted, {**draft(match_string="b"), "id": first})
    assert [change["rule_id"] for change in claimed["changes"]] == [second, first]


@pytest.mark.parametrize(
    ("rules", "field", "sentence"),
    [
        ([draft(), {**draft(), "id": 4711}], "rules[1].id", "there is no rule 4711"),
        ([{**draft(), "id": 1}, {**draft(), "id": 1}], "rules[1].id", "rule 1 is named by rules[0] already"),
        ([draft(), draft(match_type="regex", match_string="(")], "rules[1].match_string", "RE2"),
        ([draft(match_string="\0", is_active=False)], "rules[0].match_string", "NUL"),
        ([draft(priority=0)], "rules[0].priority", ">= 1"),
        ([draft(teem="x")], "rules[0].teem", "unknown field"),
    ],
)
def test_a_document_that_cannot_be_used(web_ui: WebUIUnderTest, rules: Any, field: str, sentence: str) -> None:
    create(web_ui)
    before = table(web_ui)
    for path in ("/rules/plan", "/rules/apply"):
        refused = web_ui.call("POST", path, {"rules": rules})
        assert (refused.status_code, refused.json["field"]) == (400, field)
        assert sentence in refused.json["error"]
    assert table(web_ui) == before


# --- examples -------------------------------------------------------------------------------------------------


def failures(plan: dict[str, Any]) -> list[tuple[int, int]]:
    return [(each["index"], each["example"]) for each in plan["failed_examples"]]


def test_examples_are_tried_on_the_rules_as_they_would_be(web_ui: WebUIUnderTest) -> None:
    create(web_ui, match_string="LINK", priority=900, team_assignment="CORE")
    web_ui.query("INSERT INTO development_hosts (hostname) VALUES ('lab-1')")
    good = [
        example(handling="Page_and_ticket", team="NETO"),
        example("fan", match=False, handling="Log_only"),
        example(event={"hostname": "LAB-1"}, handling="Log_only"),
        {"event": {"message": "LINK DOWN"}},
    ]
    rule = {**draft(), "examples": good}

    # The stored rule is in front of it until the document puts it behind.
    assert failures(planned(web_ui, rule)) == [(0, 0), (0, 2), (0, 3)]
    assert failures(planned(web_ui, rule, draft(match_string="LINK", priority=400))) == []
    assert failures(planned(web_ui, rule, prune=True)) == []


def test_an_example_that_fails_says_why(web_ui: WebUIUnderTest) -> None:
    first = {**draft(), "examples": [example("x"), example(handling="Ticket_only"), example(team="DBA")]}
    second = {**draft(match_string="DOWN"), "examples": [example(), example("DOWN", match=False)]}
    third = {**draft(match_string="z"), "examples": [example(event={"hostname": 7}), example("z", handling="x")]}
    off = {**draft(match_string="y", is_active=False), "examples": [example("y")]}

    plan = planned(web_ui, first, second, third, off)

    assert failures(plan) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [each["sentence"] for each in plan["failed_examples"]] == [
        "this rule should decide, but no rule does",
        "the handling should be Ticket_only, but rules[0] of the document makes it Page_and_ticket",
        "the team should be DBA, but it is NETO",
        "this rule should decide, but rules[0] of the document does",
        "this rule should not decide, but it does",
        "ingest would not take the event: hostname must be a string, not a number",
        "the handling should be x, but rules[2] of the document makes it Page_and_ticket",
    ]


def test_times_of_yaml_are_taken_for_texts(web_ui: WebUIUnderTest) -> None:
    text = """
    rules:
      - {match_type: contains, match_string: LINK DOWN, priority: 5, prod_handling: Ticket_only, dev_handling: Log_only,
         team_assignment: NETO, examples: [{event: {timestamp: 2026-01-31T10:00:00Z, hostname: a, message: LINK DOWN}}]}
    """
    answer = web_ui.client.simulate_post(
        "/api/v2/rules/plan", body=text, headers={"X-API-KEY": ADMIN, "Content-Type": "application/yaml"}
    )
    assert (answer.status_code, answer.json["failed_examples"]) == (200, [])


def test_failing_examples_change_nothing(web_ui: WebUIUnderTest) -> None:
    create(web_ui, match_string="stays")
    before = table(web_ui)

    refused = applied(web_ui, draft(match_string="new"), {**draft(), "examples": [example("x")]}, prune=True)

    assert (refused.status_code, refused.json["field"]) == (422, "rules[1].examples[0]")
    assert "rules[1].examples[0]: this rule should decide, but no rule does" in refused.json["error"]
    assert table(web_ui) == before
    assert web_ui.query("SELECT count(*) FROM config_audit_log") == [(1,)]


# --- apply ----------------------------------------------------------------------------------------------------


def test_a_rule_set_is_applied_with_an_audit_row_for_each_change_and_published_once(web_ui: WebUIUnderTest) -> None:
    same, other, left = create(web_ui), create(web_ui, match_string="fan"), create(web_ui, match_string="left")
    web_ui.query("TRUNCATE config_audit_log")
    subscription = web_ui.redis().pubsub()
    subscription.subscribe(keys.RULES_UPDATES)
    wait_until(lambda: subscription.get_message(timeout=0.1), "the subscription")

    document = [draft(match_string="n1"), draft(), {**draft(priority=2), "id": other}, draft(match_string="n2")]
    answer = applied(web_ui, *document, prune=True, reason="release 12")

    assert answer.status_code == 200
    plan = answer.json
    assert (counts(plan), plan["applied"]) == ((2, 1, 1, 1), True)
    new = [change["rule_id"] for change in plan["changes"] if change["action"] == "create"]
    assert [(row[0], row[1], row[3]) for row in table(web_ui)] == [
        (same, "LINK DOWN", True), (other, "LINK DOWN", True), (left, "left", False), (new[0], "n1", True),
        (new[1], "n2", True),
    ]  # fmt: skip
    rows = web_ui.query(
        "SELECT operation, record_id, changed_by, reason, old_values ->> 'match_string', new_values ->> 'match_string'"
        " FROM config_audit_log ORDER BY operation, id"
    )
    assert rows == [
        ("CREATE", str(new[0]), "night-shift", "release 12", None, "n1"),
        ("CREATE", str(new[1]), "night-shift", "release 12", None, "n2"),
        ("DELETE", str(left), "night-shift", "release 12", "left", "left"),
        ("UPDATE", str(other), "night-shift", "release 12", "fan", "LINK DOWN"),
    ]
    wait_until(lambda: subscription.get_message(timeout=0.1), "the message that rules have changed")
    assert subscription.get_message(timeout=0.1) is None
    again = applied(web_ui, *document, prune=True)
    assert (counts(again.json), again.json["applied"]) == ((0, 0, 0, 4), True)
    assert subscription.get_message(timeout=0.1) is None
    assert web_ui.query("SELECT count(*) FROM config_audit_log") == [(4,)]


def test_a_plan_is_carried_out_as_it_was_looked_at_or_not_at_all(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)
    wanted = draft(priority=7)
    etag = planned(web_ui, wanted)["plan_etag"]
    assert planned(web_ui, wanted)["plan_etag"] == etag
    web_ui.call("PUT", f"/rules/{rule_id}", {"team_assignment": "DBA"})
    before = table(web_ui)

    stale = applied(web_ui, wanted, plan_etag=etag)
    assert (stale.status_code, stale.json["field"]) == (412, "plan_etag")
    fresh = planned(web_ui, wanted)["plan_etag"]
    assert fresh != etag
    assert applied(web_ui, draft(priority=8), plan_etag=fresh).status_code == 412
    assert applied(web_ui, wanted, plan_etag=fresh, prune=True).status_code == 412
    assert table(web_ui) == before
    assert applied(web_ui, wanted, plan_etag=fresh).status_code == 200
    assert web_ui.query("SELECT priority FROM alert_rules") == [(7,)]


def test_two_rule_sets_and_single_changes_at_once_never_mix(web_ui: WebUIUnderTest) -> None:
    rule_ids = [create(web_ui, match_string=str(number)) for number in range(20)]

    def change_all(priority: int) -> int:
        document = [draft(match_string=str(number), priority=priority) for number in range(20)]
        return applied(web_ui, *document).status_code

    def change_one(rule_id: int) -> int:
        return web_ui.call("PUT", f"/rules/{rule_id}", {"team_assignment": "DBA"}).status_code

    tasks = [gevent.spawn(change_all, priority) for priority in (1, 2)]
    tasks += [gevent.spawn(change_one, rule_id) for rule_id in rule_ids[:6]]
    gevent.joinall(tasks, raise_error=True)

    assert all(task.value == 200 for task in tasks[2:])
    assert all(task.value in (200, 412) for task in tasks[:2])
    (priorities,) = web_ui.query("SELECT array_agg(DISTINCT priority) FROM alert_rules")[0]
    assert len(priorities) == 1
    # Every audit row begins where the one before it ended: no change was made on what was not there any more.
    rows = web_ui.query("SELECT record_id, old_values, new_values FROM config_audit_log ORDER BY id")
    last: dict[str, Any] = {}
    for record_id, old, new in rows:
        assert last.get(record_id) == old
        last[record_id] = new


def test_five_thousand_rules_are_planned_and_applied_in_seconds(web_ui: WebUIUnderTest) -> None:
    document = [
        {**draft(match_type="regex", match_string=f"port {number}/[0-9]+ (up|down)", priority=number % 1000 + 1),
         **({"examples": [example(f"port {number}/3 down")]} if number % 50 == 0 else {})}
        for number in range(5000)
    ]  # fmt: skip
    began = time.monotonic()
    assert counts(planned(web_ui, *document)) == (5000, 0, 0, 0)
    plan_seconds = time.monotonic() - began

    assert applied(web_ui, *document).status_code == 200
    assert web_ui.query("SELECT count(*) FROM config_audit_log") == [(5000,)]
    assert counts(planned(web_ui, *document)) == (0, 0, 0, 5000)
    assert plan_seconds < 10


def test_a_document_over_the_limit(web_ui: WebUIUnderTest) -> None:
    refused = web_ui.client.simulate_post(
        "/api/v2/rules/plan", body=b" " * (16 * 1024 * 1024 + 1), headers={"X-API-KEY": VIEWER}
    )
    assert refused.status_code == 413
