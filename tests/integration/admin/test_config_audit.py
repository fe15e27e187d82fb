"""The audit of the configuration over HTTP, and undo."""

from typing import Any
from urllib.parse import urlencode

import pytest

from mutt.redisdb import keys
from tests.support.waiting import wait_until
from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest

RULE = {
    "match_type": "contains", "match_string": "LINK DOWN", "priority": 800, "prod_handling": "Page_and_ticket",
    "dev_handling": "Log_only", "team_assignment": "NETO",
}  # fmt: skip


def done(web_ui: WebUIUnderTest, method: str, path: str, body: Any = None, key: str = ADMIN) -> Any:
    answer = web_ui.call(method, path, body, key=key)
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def changes(web_ui: WebUIUnderTest, **query: Any) -> list[dict[str, Any]]:
    return done(web_ui, "GET", f"/config-audit?{urlencode(query)}", key=VIEWER)["logs"]


def undo(web_ui: WebUIUnderTest, change_id: int, reason: str | None = None, key: str = OPERATOR) -> dict[str, Any]:
    """The new change."""
    answer = web_ui.call("POST", f"/config-audit/{change_id}/undo", {"reason": reason} if reason else None, key)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/v2/config-audit/{answer.json['id']}"
    return done(web_ui, "GET", f"/config-audit/{answer.json['id']}")


def refused(web_ui: WebUIUnderTest, change_id: int, key: str = OPERATOR) -> str:
    answer = web_ui.call("POST", f"/config-audit/{change_id}/undo", key=key)
    assert (answer.status_code, answer.json["reason"]) == (409, "conflict")
    return answer.json["error"]


def rule(web_ui: WebUIUnderTest, rule_id: int) -> dict[str, Any]:
    return done(web_ui, "GET", f"/rules/{rule_id}")


def test_changes_are_listed_newest_first_under_both_versions(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/dev-hosts", {"hostname": "lab-1", "reason": "new"}, OPERATOR)
    done(web_ui, "POST", "/teams", {"hostname": "db-1", "team_assignment": "DBA"})
    for version in ("v1", "v2"):
        page = done(web_ui, "GET", f"/api/{version}/config-audit", key=VIEWER)
        assert (page["total"], page["page"], page["limit"]) == (2, 1, 50)
        newest, oldest = page["logs"]
        assert (newest["id"], newest["table_name"], newest["changed_by"]) == (2, "device_teams", "webui")
        assert oldest | {"changed_at": "", "new_values": "", "correlation_id": ""} == {
            "id": 1, "changed_at": "", "changed_by": "night-shift", "operation": "CREATE",
            "table_name": "development_hosts", "record_id": "lab-1", "old_values": None, "new_values": "",
            "reason": "new", "correlation_id": "", "status": "applied", "can_be_undone": True,
        }  # fmt: skip
        assert oldest["new_values"]["hostname"] == "lab-1"
        assert done(web_ui, "GET", f"/api/{version}/config-audit/1", key=VIEWER) == oldest


def test_filters_and_pages(web_ui: WebUIUnderTest) -> None:
    for number in range(5):
        done(web_ui, "POST", "/dev-hosts", {"hostname": f"h{number}"}, OPERATOR)
    done(web_ui, "DELETE", "/dev-hosts/h0")
    done(web_ui, "POST", "/teams", {"hostname": "h1", "team_assignment": "T"})
    correlation_id = changes(web_ui)[0]["correlation_id"]
    assert [each["id"] for each in changes(web_ui, table_name="device_teams")] == [7]
    assert [each["id"] for each in changes(web_ui, operation="DELETE")] == [6]
    assert [each["id"] for each in changes(web_ui, changed_by="night-shift", limit=2, page=2)] == [3, 2]
    assert [each["id"] for each in changes(web_ui, record_id="h0")] == [6, 1]
    assert [each["id"] for each in changes(web_ui, correlation_id=correlation_id.upper())] == [7]
    assert changes(web_ui, end_date="2020-01-01") == []
    assert len(changes(web_ui, start_date="2020-01-01", table_name="", changed_by="")) == 7
    assert changes(web_ui, changed_by="'; DROP TABLE config_audit_log; --", record_id="%\\_\0") == []
    linked = web_ui.call("GET", "/config-audit?limit=3&page=2")
    assert '</api/v2/config-audit?limit=3&page=3>; rel="next"' in linked.headers["Link"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("operation=DROP", "operation"), ("correlation_id=x", "correlation_id"), ("start_date=x", "start_date"),
     ("limit=201", "limit")],
)  # fmt: skip
def test_what_makes_no_sense_is_named(web_ui: WebUIUnderTest, query: str, field: str) -> None:
    answer = web_ui.call("GET", f"/config-audit?{query}")
    assert (answer.status_code, answer.json["field"]) == (400, field)


def test_a_change_that_does_not_exist(web_ui: WebUIUnderTest) -> None:
    for method, path in (("GET", "/config-audit/9"), ("POST", "/config-audit/9/undo")):
        answer = web_ui.call(method, path)
        assert (answer.status_code, answer.json["field"]) == (404, "change_id")
    assert web_ui.call("GET", f"/config-audit/{2**63}").status_code == 400


def test_a_viewer_undoes_nothing(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/dev-hosts", {"hostname": "h"})
    assert web_ui.call("POST", "/config-audit/1/undo", key=VIEWER).status_code == 403
    assert len(changes(web_ui)) == 1


def test_an_undo_is_a_change_with_author_and_reason_and_can_be_undone(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/dev-hosts", {"hostname": "Lab-1", "description": "d"})
    removal = undo(web_ui, 1, "wrong host")
    assert (removal["operation"], removal["table_name"], removal["record_id"]) == (
        "DELETE",
        "development_hosts",
        "Lab-1",
    )
    assert (removal["changed_by"], removal["reason"]) == ("night-shift", "undo of change 1: wrong host")
    assert done(web_ui, "GET", "/dev-hosts")["total"] == 0
    back = undo(web_ui, removal["id"])
    assert (back["operation"], back["reason"]) == ("CREATE", "undo of change 2")
    (host,) = done(web_ui, "GET", "/dev-hosts")["hosts"]
    assert (host["hostname"], host["description"]) == ("Lab-1", "d")


def test_undo_of_hosts_that_have_changed_since(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/dev-hosts", {"hostname": "h", "description": "one"})
    done(web_ui, "DELETE", "/dev-hosts/h")
    assert refused(web_ui, 1) == "development host h is not there any more"
    done(web_ui, "POST", "/dev-hosts", {"hostname": "H", "description": "two"})
    assert refused(web_ui, 2) == "development host h is there again"
    assert "hostname is 'H' now and was 'h', description is 'two' now and was 'one'" in refused(web_ui, 1)
    assert [each["can_be_undone"] for each in changes(web_ui)] == [True, False, False]


def test_undo_of_teams(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/teams", {"hostname": "db-1", "team_assignment": "DBA"})
    done(web_ui, "PUT", "/teams/db-1", {"team_assignment": "UNIX"})
    assert refused(web_ui, 1) == (
        "the team of db-1 was changed after change 1: team_assignment is 'UNIX' now and was 'DBA'"
    )
    assert [each["can_be_undone"] for each in changes(web_ui)] == [True, False]
    assert undo(web_ui, 2)["operation"] == "UPDATE"
    assert done(web_ui, "GET", "/teams")["teams"][0]["team_assignment"] == "DBA"
    done(web_ui, "DELETE", "/teams/db-1")
    assert undo(web_ui, 4)["operation"] == "CREATE"
    assert done(web_ui, "GET", "/teams")["teams"][0]["team_assignment"] == "DBA"
    assert undo(web_ui, 1)["operation"] == "DELETE"
    assert done(web_ui, "GET", "/teams")["total"] == 0


def test_undo_of_rules(web_ui: WebUIUnderTest) -> None:
    rule_id = done(web_ui, "POST", "/rules", RULE)["id"]
    done(web_ui, "PUT", f"/rules/{rule_id}", {"priority": 10, "match_string": None, "syslog_severity": 2})
    assert [each["can_be_undone"] for each in changes(web_ui)] == [True, False]
    assert "priority is 10 now and was 800" in refused(web_ui, 1)

    assert undo(web_ui, 2)["operation"] == "UPDATE"
    restored = rule(web_ui, rule_id)
    assert {name: restored[name] for name in RULE} == RULE
    assert restored["syslog_severity"] is None

    done(web_ui, "DELETE", f"/rules/{rule_id}")
    assert undo(web_ui, 4)["operation"] == "UPDATE"
    assert rule(web_ui, rule_id)["is_active"] is True

    assert undo(web_ui, 1)["operation"] == "DELETE"
    assert rule(web_ui, rule_id)["is_active"] is False


def test_undo_of_a_rule_that_is_gone_or_was_never_on(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/rules", {**RULE, "is_active": False})
    assert refused(web_ui, 1) == "rule 1 already is as it was before change 1"
    web_ui.query("DELETE FROM alert_rules")
    assert refused(web_ui, 1) == "rule 1 is not there any more"


def test_undo_of_settings(web_ui: WebUIUnderTest) -> None:
    key = "moog_rate_limit"
    done(web_ui, "PUT", f"/config/{key}", {"value": 100})
    done(web_ui, "PUT", f"/config/{key}", {"value": 200})
    assert [each["can_be_undone"] for each in changes(web_ui)] == [True, False]
    assert (
        refused(web_ui, 1, ADMIN) == "setting moog_rate_limit was changed after change 1: value is 200 now and was 100"
    )
    again = undo(web_ui, 2, "too fast", ADMIN)
    assert (again["id"], again["reason"], again["status"]) == (3, "undo of change 2: too fast", "applied")
    assert web_ui.redis().get(keys.config(key)) == b"100"
    undo(web_ui, 1, key=ADMIN)
    assert web_ui.redis().get(keys.config(key)) is None
    assert undo(web_ui, 4, key=ADMIN)["new_values"] == {"value": 100}
    assert web_ui.redis().get(keys.config(key)) == b"100"


@pytest.mark.parametrize(
    ("table", "record_id", "new", "status", "sentence"),
    [
        ("dead_letters", "moog", "{}", "applied", "changes of dead_letters cannot be undone"),
        ("alert_rules", None, "{}", "applied", "changes of alert_rules cannot be undone"),
        ("development_hosts", "h", "{}", "pending", "change 1 was never confirmed"),
        ("development_hosts", "h", "{}", "applied", "does not hold all the values"),
        ("development_hosts", "h", "[1]", "applied", "already is as it was"),
    ],
)
def test_changes_that_cannot_be_undone(
    web_ui: WebUIUnderTest, table: str, record_id: str | None, new: str, status: str, sentence: str
) -> None:
    web_ui.query(
        "INSERT INTO config_audit_log (changed_by, operation, table_name, record_id, new_values, status) "
        "VALUES ('somebody', 'CREATE', %s, %s, %s, %s)",
        table, record_id, new, status,
    )  # fmt: skip
    assert sentence in refused(web_ui, 1)
    assert changes(web_ui)[0]["can_be_undone"] is False


def test_the_alerters_are_told(web_ui: WebUIUnderTest) -> None:
    done(web_ui, "POST", "/dev-hosts", {"hostname": "h"})
    subscriber = web_ui.redis().pubsub()
    subscriber.subscribe(keys.RULES_UPDATES)
    wait_until(lambda: subscriber.get_message(timeout=0.1), "the subscription")
    undo(web_ui, 1)
    assert wait_until(lambda: subscriber.get_message(timeout=0.1), "the message")["type"] == "message"
    subscriber.close()


def test_taking_back_a_setting_needs_as_much_as_changing_it(web_ui: WebUIUnderTest) -> None:
    web_ui.call("PUT", "/config/moog_batch_size", {"value": 7})
    (change,) = web_ui.call("GET", "/config-audit").json["logs"]
    assert web_ui.call("POST", f"/config-audit/{change['id']}/undo", key=OPERATOR).status_code == 403
    assert web_ui.call("POST", f"/config-audit/{change['id']}/undo").status_code == 201
