"""Development hosts and teams of devices over HTTP."""

from typing import Any
from urllib.parse import quote

import pytest

from mutt.redisdb import keys
from tests.support.waiting import wait_until
from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest

ODD_NAMES = [
    "core.rtr-1",
    "fe80::1%eth0",
    "a&b=c?d#e",
    "Köln-sw1",
    "100%",
    "it's",
    '"quoted"',
    "%2e",
    "ab\\c",
    "*",
    "+",
]


def audit(web_ui: WebUIUnderTest) -> list[tuple[Any, ...]]:
    return web_ui.query(
        "SELECT changed_by, operation, table_name, record_id, old_values, new_values, reason, status "
        "FROM config_audit_log ORDER BY id"
    )


def test_a_development_host_comes_and_goes_and_the_audit_knows(web_ui: WebUIUnderTest) -> None:
    body = {"hostname": "Lab-7", "description": "the lab", "reason": "it is new"}
    created = web_ui.call("POST", "/dev-hosts", body, key=OPERATOR)
    assert (created.status_code, created.headers["Location"]) == (201, "/api/v2/dev-hosts/Lab-7")
    assert created.json == {"id": 1, "message": "Lab-7 is a development host now"}

    (host,) = web_ui.call("GET", "/dev-hosts", key=VIEWER).json["hosts"]
    assert (host["id"], host["hostname"], host["description"]) == (1, "Lab-7", "the lab")

    removed = web_ui.call("DELETE", "/dev-hosts/LAB-7?reason=gone", key=OPERATOR)
    assert (removed.status_code, removed.json) == (200, {"message": "Lab-7 is no development host any more"})
    assert web_ui.call("GET", "/dev-hosts").json == {"hosts": [], "total": 0, "page": 1, "limit": 50}

    added, gone = audit(web_ui)
    assert added[:5] == ("night-shift", "CREATE", "development_hosts", "Lab-7", None)
    assert added[6:] == ("it is new", "applied")
    assert gone[:4] == ("night-shift", "DELETE", "development_hosts", "Lab-7")
    assert gone[5:] == (None, "gone", "applied")
    assert added[5] == gone[4]
    assert (added[5]["hostname"], added[5]["description"]) == ("Lab-7", "the lab")


def test_host_names_are_the_same_in_any_case(web_ui: WebUIUnderTest) -> None:
    assert web_ui.call("POST", "/dev-hosts", {"hostname": "lab-7"}).status_code == 201
    again = web_ui.call("POST", "/dev-hosts", {"hostname": "LAB-7"})
    assert (again.status_code, again.json["field"], again.json["reason"]) == (409, "hostname", "conflict")
    assert len(audit(web_ui)) == 1


def test_a_team_is_given_changed_and_taken(web_ui: WebUIUnderTest) -> None:
    created = web_ui.call("POST", "/teams", {"hostname": "db-1", "team_assignment": "DBA"}, key=OPERATOR)
    assert (created.status_code, created.headers["Location"]) == (201, "/api/v2/teams/db-1")
    assert web_ui.call("POST", "/teams", {"hostname": "DB-1", "team_assignment": "X"}).status_code == 409

    changed = web_ui.call("PUT", "/teams/DB-1", {"team_assignment": "UNIX", "reason": "moved"}, key=OPERATOR)
    assert (changed.status_code, changed.json["hostname"], changed.json["team_assignment"]) == (200, "db-1", "UNIX")
    listed = web_ui.call("GET", "/teams", key=VIEWER).json
    assert [(each["hostname"], each["team_assignment"]) for each in listed["teams"]] == [("db-1", "UNIX")]

    assert web_ui.call("DELETE", "/teams/db-1", {"reason": "over"}, key=OPERATOR).status_code == 200
    rows = audit(web_ui)
    assert [(row[1], row[3], row[6]) for row in rows] == [
        ("CREATE", "db-1", None), ("UPDATE", "db-1", "moved"), ("DELETE", "db-1", "over"),
    ]  # fmt: skip
    assert (rows[1][4]["team_assignment"], rows[1][5]["team_assignment"]) == ("DBA", "UNIX")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/dev-hosts/nobody", None),
        ("DELETE", "/teams/nobody", None),
        ("PUT", "/teams/nobody", {"team_assignment": "X"}),
    ],
)
def test_an_unknown_host_is_not_found(web_ui: WebUIUnderTest, method: str, path: str, body: Any) -> None:
    missing = web_ui.call(method, path, body)
    assert (missing.status_code, missing.json["field"]) == (404, "hostname")
    assert "nobody" in missing.json["error"]
    assert audit(web_ui) == []


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("path", ["/dev-hosts", "/teams"])
def test_names_with_odd_characters_work_in_paths(web_ui: WebUIUnderTest, path: str, name: str) -> None:
    extra = {"team_assignment": "NETO"} if path == "/teams" else {}
    created = web_ui.call("POST", path, {"hostname": name, **extra})
    assert (created.status_code, created.headers["Location"]) == (201, f"/api/v2{path}/{quote(name, safe='')}")
    assert web_ui.call("GET", f"{path}?q={quote(name)}").json["total"] == 1
    assert web_ui.call("DELETE", created.headers["Location"].removeprefix("/api/v2")).status_code == 200
    assert web_ui.call("GET", path).json["total"] == 0


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "..", "line\n", "nul\0", "x" * 256])
def test_names_that_cannot_be_host_names_are_refused(web_ui: WebUIUnderTest, name: str) -> None:
    refused = web_ui.call("POST", "/dev-hosts", {"hostname": name})
    assert (refused.status_code, refused.json["field"]) == (400, "hostname")


def test_text_that_cannot_be_stored_is_replaced(web_ui: WebUIUnderTest) -> None:
    assert web_ui.call("POST", "/dev-hosts", {"hostname": "h", "description": "a\0b"}).status_code == 201
    assert web_ui.call("GET", "/dev-hosts").json["hosts"][0]["description"] == "a\ufffdb"
    assert web_ui.call("GET", "/dev-hosts?q=%00").json["total"] == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_viewer_changes_nothing(web_ui: WebUIUnderTest, method: str) -> None:
    web_ui.query("INSERT INTO development_hosts (hostname) VALUES ('h')")
    web_ui.query("INSERT INTO device_teams (hostname, team_assignment) VALUES ('h', 'T')")
    for path in ("/dev-hosts", "/teams"):
        if (method, path) == ("PUT", "/dev-hosts"):
            continue
        target = path if method == "POST" else f"{path}/h"
        refused = web_ui.call(method, target, {"hostname": "i", "team_assignment": "U"}, key=VIEWER)
        assert refused.status_code == 403
    assert web_ui.query("SELECT hostname, team_assignment FROM device_teams") == [("h", "T")]
    assert web_ui.query("SELECT hostname FROM development_hosts") == [("h",)]


def test_lists_are_paged_filtered_and_linked_under_both_versions(web_ui: WebUIUnderTest) -> None:
    web_ui.query(
        "INSERT INTO device_teams (hostname, team_assignment) SELECT 'h' || n, 'T' FROM generate_series(1, 7) n"
    )
    web_ui.query("INSERT INTO device_teams (hostname, team_assignment) VALUES ('B_x', 'neto'), ('a%%x', 'NETO')")
    for version in ("v1", "v2"):
        page = web_ui.call("GET", f"/api/{version}/teams?page=2&limit=4")
        assert [each["hostname"] for each in page.json["teams"]] == ["h3", "h4", "h5", "h6"]
        assert (page.json["total"], page.json["page"], page.json["limit"]) == (9, 2, 4)
        assert '?page=3&limit=4>; rel="next"' in page.headers["Link"]
    assert [each["hostname"] for each in web_ui.call("GET", "/teams?q=Neto").json["teams"]] == ["a%x", "B_x"]
    assert [each["hostname"] for each in web_ui.call("GET", "/teams?q=_").json["teams"]] == ["B_x"]
    assert [each["hostname"] for each in web_ui.call("GET", "/teams?q=%25").json["teams"]] == ["a%x"]
    assert web_ui.call("GET", "/teams?limit=201").json["field"] == "limit"


def test_the_alerters_are_told(web_ui: WebUIUnderTest) -> None:
    subscriber = web_ui.redis().pubsub()
    subscriber.subscribe(keys.RULES_UPDATES)
    wait_until(lambda: subscriber.get_message(timeout=0.1), "the subscription")
    changes = [
        ("POST", "/dev-hosts", {"hostname": "h"}), ("DELETE", "/dev-hosts/h", None),
        ("POST", "/teams", {"hostname": "h", "team_assignment": "T"}),
        ("PUT", "/teams/h", {"team_assignment": "U"}), ("DELETE", "/teams/h", None),
    ]  # fmt: skip
    for method, path, body in changes:
        assert web_ui.call(method, path, body, key=ADMIN).status_code in (200, 201)
        message = wait_until(lambda: subscriber.get_message(timeout=0.1), f"the message of {method} {path}")
        assert message["type"] == "message"
    subscriber.close()
