"""Rules through the API: each change is checked, audited, published, and guarded against what was not seen."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import psycopg2
import pytest
import redis

from mutt.redisdb import keys
from mutt.store import rules
from tests.support.rule_drafts import create, draft
from tests.support.waiting import wait_until
from tests.support.web_ui import OPERATOR, VIEWER, WebUIUnderTest

CORRELATION_ID = "0b0e9d3a-6d3f-4c57-9d0e-2f1f6f0c1a11"


def audit(web_ui: WebUIUnderTest) -> list[tuple[Any, ...]]:
    return web_ui.query(
        "SELECT operation, record_id, changed_by, reason, old_values, new_values, correlation_id::text, status"
        " FROM config_audit_log WHERE table_name = 'alert_rules' ORDER BY id"
    )


# --- create ---------------------------------------------------------------------------------------------------


def test_a_rule_is_created_and_audited(web_ui: WebUIUnderTest) -> None:
    created = web_ui.call(
        "POST", "/rules", draft(reason="ticket 4711"), key=OPERATOR, headers={"X-Correlation-ID": CORRELATION_ID}
    )

    assert created.status_code == 201
    rule_id = created.json["id"]
    assert str(rule_id) in created.json["message"]
    assert created.headers["Location"] == f"/api/v2/rules/{rule_id}"
    rule = web_ui.call("GET", f"/rules/{rule_id}", key=VIEWER).json
    assert {name: rule[name] for name in draft()} == draft()
    assert (rule["trap_oid"], rule["syslog_severity"], rule["is_active"], rule["problem"]) == (None, None, True, None)
    ((operation, record_id, changed_by, reason, old, new, correlation_id, status),) = audit(web_ui)
    assert (operation, record_id, changed_by, reason) == ("CREATE", str(rule_id), "night-shift", "ticket 4711")
    assert (old, correlation_id, status) == (None, CORRELATION_ID, "applied")
    assert new == {name: rule[name] for name in new}
    assert new.keys() >= {*draft(), "id", "is_active", "created_at"}


def test_the_same_key_creates_one_rule(web_ui: WebUIUnderTest) -> None:
    first, again = (
        web_ui.call("POST", "/rules", draft(), headers={"Idempotency-Key": "k-1"}) for _ in range(2)
    )  # fmt: skip
    other = web_ui.call("POST", "/rules", draft(priority=1), headers={"Idempotency-Key": "k-1"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert web_ui.query("SELECT count(*) FROM alert_rules") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"match_type": "regex", "match_string": None, "trap_oid": "1.3"}, "match_string",
         "match_string is required when match_type is regex"),
        ({"match_type": "oid_prefix"}, "trap_oid", "trap_oid is required when match_type is oid_prefix"),
        ({"match_string": None}, "match_type", "the rule has no condition"),
        ({"match_string": None, "trap_oid": "1.3"}, "match_string",
         "match_string is required when match_type is contains and trap_oid is given"),
        ({"match_type": "regex", "match_string": "a(?=b)"}, "match_string", "invalid perl operator: (?="),
        ({"match_type": "regex", "match_string": "[a"}, "match_string", "missing ]"),
        ({"match_string": "a\0b"}, "match_string", "match_string holds NUL"),
        ({"team_assignment": "NE\0TO"}, "team_assignment", "team_assignment holds NUL"),
        ({"match_string": ""}, "match_string", "length >= 1"),
        ({"match_string": "x" * 4097}, "match_string", "length <= 4096"),
        ({"trap_oid": "1.3.x"}, "trap_oid", "matching regex"),
        ({"syslog_severity": 8}, "syslog_severity", "<= 7"),
        ({"priority": 0}, "priority", ">= 1"),
        ({"priority": 1001}, "priority", "<= 1000"),
        ({"prod_handling": "Suppress"}, "prod_handling", "invalid enum value 'Suppress'"),
        ({"dev_handling": "Page_and_ticket"}, "dev_handling", "invalid enum value 'Page_and_ticket'"),
        ({"team_assignment": " "}, "team_assignment", "matching regex"),
        ({"match_type": None}, "match_type", "missing required field 'match_type'"),
        ({"match_sting": "x"}, "match_sting", "unknown field 'match_sting'"),
    ],
)  # fmt: skip
def test_a_rule_that_must_not_be_stored_is_refused_by_field(
    web_ui: WebUIUnderTest, changes: dict[str, Any], field: str, sentence: str
) -> None:
    refused = web_ui.call("POST", "/rules", draft(**changes))

    assert (refused.status_code, refused.json["field"]) == (400, field)
    assert sentence in refused.json["error"]
    assert web_ui.query("SELECT count(*) FROM alert_rules") == [(0,)]
    assert audit(web_ui) == []


def test_conditions_that_may_be_stored(web_ui: WebUIUnderTest) -> None:
    for changes in (
        {"match_string": None, "syslog_severity": 2},
        {"match_type": "oid_prefix", "match_string": None, "trap_oid": ".1.3.6.1.4.1.9."},
        {"match_type": "oid_prefix", "trap_oid": "1.3", "syslog_severity": 0},
        {"match_type": "regex", "match_string": "(?i)überlast|🔥"},
    ):
        create(web_ui, **changes)


# --- list -----------------------------------------------------------------------------------------------------


def listed(web_ui: WebUIUnderTest, query: str = "") -> list[int]:
    return [rule["id"] for rule in web_ui.call("GET", f"/rules?{query}", key=VIEWER).json["rules"]]


def test_rules_are_listed_in_the_order_they_are_tried(web_ui: WebUIUnderTest) -> None:
    low, high, alike = create(web_ui, priority=1), create(web_ui, priority=900), create(web_ui, priority=900)

    assert listed(web_ui) == [high, alike, low]
    page = web_ui.call("GET", "/rules?limit=2&page=2").json
    assert ([rule["id"] for rule in page["rules"]], page["total"], page["page"], page["limit"]) == ([low], 3, 2, 2)
    assert web_ui.call("GET", "/rules?page=9").json["total"] == 3


def test_rules_are_filtered(web_ui: WebUIUnderTest) -> None:
    text = create(web_ui, match_string="100%_Full")
    oid = create(web_ui, match_type="oid_prefix", match_string=None, trap_oid="1.3.6.1", team_assignment="DBA")
    off = create(web_ui, match_type="regex", match_string="full", is_active=False)

    assert listed(web_ui, "is_active=true") == [text, oid]
    assert listed(web_ui, "is_active=false") == [off]
    assert listed(web_ui, "match_type=oid_prefix") == [oid]
    assert listed(web_ui, "team=dba") == [oid]
    assert listed(web_ui, "q=FULL") == [text, off]
    assert listed(web_ui, "q=%25_") == [text]
    assert listed(web_ui, "q=6.1") == [oid]
    assert listed(web_ui, "q=%00") == []


def test_hits_are_those_of_the_window(web_ui: WebUIUnderTest) -> None:
    rule_id, never = create(web_ui), create(web_ui)
    now, client = datetime.now(UTC), web_ui.redis()
    for age, hits in ((0, 5), (3, 20), (9, 1000)):
        client.hset(keys.rule_hits((now - timedelta(days=age)).strftime("%Y%m%d")), str(rule_id), hits)
    client.hset(keys.RULE_LAST_HIT, str(rule_id), round(now.timestamp() * 1000))

    rule = web_ui.call("GET", f"/rules/{rule_id}").json

    assert (rule["hits_24h"], rule["hits_7d"]) == (5, 25)
    assert abs(datetime.fromisoformat(rule["last_hit"]) - now) < timedelta(milliseconds=2)
    rule = web_ui.call("GET", f"/rules/{never}").json
    assert (rule["hits_24h"], rule["hits_7d"], rule["last_hit"]) == (0, 0, None)


def test_a_stored_rule_that_cannot_be_used_says_so_and_can_be_switched_off(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui, match_type="regex")
    web_ui.query("UPDATE alert_rules SET match_string = 'a**('")

    (rule,) = web_ui.call("GET", "/rules").json["rules"]
    assert "not a valid RE2 pattern" in rule["problem"]
    refused = web_ui.call("PUT", f"/rules/{rule_id}", {"priority": 3})
    assert (refused.status_code, refused.json["field"]) == (400, "match_string")
    assert web_ui.call("PUT", f"/rules/{rule_id}", {"is_active": False}).status_code == 200


def test_a_rule_that_does_not_exist(web_ui: WebUIUnderTest) -> None:
    for method, body in (("GET", None), ("PUT", {"priority": 3}), ("DELETE", None)):
        missing = web_ui.call(method, "/rules/4711", body)
        assert (missing.status_code, missing.json["error"]) == (404, "there is no rule 4711")
    assert web_ui.call("GET", "/rules/seven").status_code == 400
    assert web_ui.call("GET", "/rules/99999999999").status_code == 400


# --- update ---------------------------------------------------------------------------------------------------


def test_an_update_changes_the_given_fields(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui, trap_oid="1.3")
    before = web_ui.call("GET", f"/rules/{rule_id}")

    body = {"priority": 7, "trap_oid": None, "reason": "noise"}
    updated = web_ui.call("PUT", f"/rules/{rule_id}", body, headers={"If-Match": before.headers["ETag"]})

    assert updated.status_code == 200
    assert str(rule_id) in updated.json["message"]
    after = web_ui.call("GET", f"/rules/{rule_id}")
    assert updated.json["rule"] == after.json
    assert updated.headers["ETag"] == after.headers["ETag"] != before.headers["ETag"]
    changed = {name for name in after.json if after.json[name] != before.json[name]}
    assert changed == {"priority", "trap_oid", "updated_at"}
    operation, record_id, _, reason, old, new, _, _ = audit(web_ui)[1]
    assert (operation, record_id, reason) == ("UPDATE", str(rule_id), "noise")
    assert ((old["priority"], old["trap_oid"]), (new["priority"], new["trap_oid"])) == ((500, "1.3"), (7, None))
    assert old.keys() == new.keys() >= set(draft())


def test_an_update_without_a_difference_is_none(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)
    before = web_ui.call("GET", f"/rules/{rule_id}")

    same = web_ui.call("PUT", f"/rules/{rule_id}", draft())

    assert (same.status_code, same.json["rule"]) == (200, before.json)
    assert same.headers["ETag"] == before.headers["ETag"]
    assert len(audit(web_ui)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"match_string": None}, "match_type"),
        ({"match_type": "oid_prefix"}, "trap_oid"),
        ({"match_type": "regex", "match_string": "("}, "match_string"),
        ({"match_string": "\0", "is_active": False}, "match_string"),
        ({"team_assignment": "\0", "is_active": False}, "team_assignment"),
    ],
)
def test_the_rule_as_a_whole_has_to_be_storable(web_ui: WebUIUnderTest, changes: dict[str, Any], field: str) -> None:
    rule_id = create(web_ui)
    refused = web_ui.call("PUT", f"/rules/{rule_id}", changes)
    assert (refused.status_code, refused.json["field"]) == (400, field)
    assert len(audit(web_ui)) == 1


@pytest.mark.parametrize(("method", "body"), [("PUT", {"priority": 1}), ("DELETE", None)])
def test_a_change_of_something_unseen_is_refused(web_ui: WebUIUnderTest, method: str, body: Any) -> None:
    rule_id = create(web_ui)
    seen = web_ui.call("GET", f"/rules/{rule_id}").headers["ETag"]
    web_ui.call("PUT", f"/rules/{rule_id}", {"priority": 2})

    for tag in (seen, f"W/{seen}", '"other"'):
        refused = web_ui.call(method, f"/rules/{rule_id}", body, headers={"If-Match": tag})
        assert (refused.status_code, refused.json["reason"]) == (412, "stale")
    assert web_ui.call("GET", f"/rules/{rule_id}").json["priority"] == 2

    now = web_ui.call("GET", f"/rules/{rule_id}").headers["ETag"]
    assert web_ui.call(method, f"/rules/{rule_id}", body, headers={"If-Match": f'"other", {now}'}).status_code == 200
    assert web_ui.call(method, f"/rules/{rule_id}", body, headers={"If-Match": "*"}).status_code == 200


def test_of_two_changes_at_once_the_second_sees_the_first(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)
    headers = {"If-Match": web_ui.call("GET", f"/rules/{rule_id}").headers["ETag"]}
    with closing(psycopg2.connect(web_ui.postgres.dsn(web_ui.database))) as other, other.cursor() as cursor:
        cursor.execute("UPDATE alert_rules SET priority = 1")
        change = gevent.spawn(web_ui.call, "PUT", f"/rules/{rule_id}", {"priority": 2}, headers=headers)
        wait_until(lambda: waiting(web_ui), "the change to wait for the other")
        other.commit()

    assert change.get(timeout=10).status_code == 412
    assert web_ui.query("SELECT priority FROM alert_rules") == [(1,)]


def test_a_change_waits_for_a_whole_rule_set(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)
    with closing(psycopg2.connect(web_ui.postgres.dsn(web_ui.database))) as other, other.cursor() as cursor:
        rules.lock_all(cursor)
        changes = [
            gevent.spawn(web_ui.call, "PUT", f"/rules/{rule_id}", {"priority": 2}),
            gevent.spawn(web_ui.call, "POST", "/rules", draft()),
        ]
        wait_until(lambda: waiting(web_ui, "advisory") == 2, "both changes to wait for the lock of rule sets")
        other.commit()

    assert [change.get(timeout=10).status_code for change in changes] == [200, 201]


def waiting(web_ui: WebUIUnderTest, kind: str = "%") -> int:
    """How many sessions of the database wait for a lock of the kind."""
    ((number,),) = web_ui.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND wait_event LIKE %s",
        kind,
    )
    return int(number)


# --- delete ---------------------------------------------------------------------------------------------------


def test_a_deleted_rule_is_inactive_and_stays(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)

    deleted = web_ui.call("DELETE", f"/rules/{rule_id}?reason=obsolete", key=OPERATOR)
    again = web_ui.call("DELETE", f"/rules/{rule_id}", {"reason": "twice"})

    assert (deleted.status_code, again.status_code) == (200, 200)
    assert web_ui.call("GET", f"/rules/{rule_id}").json["is_active"] is False
    assert listed(web_ui, "is_active=true") == []
    _, (operation, _, changed_by, reason, old, new, _, _) = audit(web_ui)
    assert (operation, changed_by, reason) == ("DELETE", "night-shift", "obsolete")
    assert (old["is_active"], new["is_active"]) == (True, False)


# --- what holds for all ---------------------------------------------------------------------------------------


def test_every_change_is_published_once_it_is_committed(web_ui: WebUIUnderTest) -> None:
    with listening(web_ui) as subscription:
        rule_id = create(web_ui)
        assert heard(subscription) == 1
        web_ui.call("PUT", f"/rules/{rule_id}", {"priority": 3})
        assert heard(subscription) == 1
        web_ui.call("PUT", f"/rules/{rule_id}", {"priority": 3})
        web_ui.call("PUT", f"/rules/{rule_id}", {"priority": 0})
        assert subscription.get_message(timeout=0.1) is None
        web_ui.call("DELETE", f"/rules/{rule_id}")
        assert heard(subscription) == 1


def listening(web_ui: WebUIUnderTest) -> redis.client.PubSub:
    subscription = web_ui.redis().pubsub()
    subscription.subscribe(keys.RULES_UPDATES)
    wait_until(lambda: subscription.get_message(timeout=0.1), "the subscription")
    return subscription


def heard(subscription: redis.client.PubSub) -> int:
    wait_until(lambda: subscription.get_message(timeout=0.1), "the message that rules have changed")
    return 1


def test_viewers_read_and_nothing_else(web_ui: WebUIUnderTest) -> None:
    rule_id = create(web_ui)
    assert web_ui.call("GET", "/rules", key=VIEWER).status_code == 200
    for method, path, body in (
        ("POST", "/rules", draft()),
        ("PUT", f"/rules/{rule_id}", {"priority": 1}),
        ("DELETE", f"/rules/{rule_id}", None),
        ("POST", "/rules/apply", {"rules": []}),
    ):
        refused = web_ui.call(method, path, body, key=VIEWER)
        assert (refused.status_code, refused.json["reason"]) == (403, "forbidden")
    assert len(audit(web_ui)) == 1


def test_the_older_version_answers_the_same(web_ui: WebUIUnderTest) -> None:
    created = web_ui.call("POST", "/api/v1/rules", draft())
    assert created.status_code == 201
    rule_id = created.json["id"]
    for path in ("/rules", f"/rules/{rule_id}"):
        new, old = web_ui.call("GET", path), web_ui.call("GET", f"/api/v1{path}")
        assert (old.json, old.headers.get("ETag")) == (new.json, new.headers.get("ETag"))
        assert "Deprecation" in old.headers
    assert web_ui.call("PUT", f"/api/v1/rules/{rule_id}", {"priority": 9}).json["rule"]["priority"] == 9
    assert web_ui.call("DELETE", f"/api/v1/rules/{rule_id}").status_code == 200


def test_without_redis_rules_are_listed_and_changed_all_the_same(web_ui: WebUIUnderTest) -> None:
    alone = WebUIUnderTest(web_ui.redis_server, web_ui.postgres, REDIS_PORT="1")
    rule_id = create(alone, priority=1000)

    rule = alone.call("GET", "/rules").json["rules"][0]

    assert (rule["id"], rule["hits_24h"], rule["hits_7d"], rule["last_hit"]) == (rule_id, None, None, None)
    assert alone.call("PUT", f"/rules/{rule_id}", {"priority": 999}).status_code == 200
