"""The event audit over HTTP."""

import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from mutt.rules.rule import Handling
from mutt.store import events
from tests.support.audit_rows import BEGIN, an_event, audit
from tests.support.web_ui import VIEWER, WebUIUnderTest

HOSTILE = [
    "'; DROP TABLE event_audit_log; --",
    "%",
    "_",
    "\\",
    "a\\'b",
    '"',
    "%s",
    "%(hostname)s",
    "\0",
    "{}",
    "--",
    "*",
]


def logs(web_ui: WebUIUnderTest, **query: Any) -> list[dict[str, Any]]:
    answer = web_ui.call("GET", f"/audit-logs?{urlencode(query)}", key=VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json["logs"]


def messages(web_ui: WebUIUnderTest, **query: Any) -> list[str]:
    return [each["message"] for each in logs(web_ui, **query)]


def test_an_event_is_shown_whole_under_both_versions(web_ui: WebUIUnderTest) -> None:
    item = an_event(trap_oid="1.3.6.1", attributes=msgspec.Raw(b'{"site":"north"}'))
    audit(web_ui, item, 7, "NETO", Handling.PAGE_AND_TICKET)
    for version in ("v1", "v2"):
        answer = web_ui.call("GET", f"/api/{version}/audit-logs", key=VIEWER)
        assert answer.json == {
            "logs": [
                {
                    "event_id": item.event_id, "correlation_id": item.correlation_id,
                    "event_timestamp": "2026-01-15T12:00:00Z", "hostname": "router1",
                    "message": "Interface Gi0/1 down", "source": "syslog", "syslog_severity": 3,
                    "trap_oid": "1.3.6.1", "rule_id": 7, "team_assignment": "NETO", "handling": "Page_and_ticket",
                    "attributes": {"site": "north"}, "ingestion_timestamp": "2026-01-15T12:00:01Z",
                    "created_at": "2026-01-15T12:00:02Z",
                }
            ],
            "total": 1, "total_is_estimate": False, "page": 1, "limit": 50,
        }  # fmt: skip


def test_pages_are_newest_first_stable_and_linked(web_ui: WebUIUnderTest) -> None:
    for number in range(7):
        # The last five have one time: then the id decides.
        audit(web_ui, an_event(f"m{number}", timestamp=BEGIN + timedelta(seconds=min(number, 2))))
    pages = [messages(web_ui, page=page, limit=3, hostname="router1") for page in (1, 2, 3)]
    assert pages == [["m6", "m5", "m4"], ["m3", "m2", "m1"], ["m0"]]
    answer = web_ui.call("GET", "/audit-logs?page=2&limit=3&hostname=router1")
    assert (answer.json["total"], answer.json["page"], answer.json["limit"]) == (7, 2, 3)
    for relation, page in (("first", 1), ("prev", 1), ("next", 3), ("last", 3)):
        assert f'</api/v2/audit-logs?page={page}&limit=3&hostname=router1>; rel="{relation}"' in answer.headers["Link"]
    for page in (3, 9):
        assert web_ui.call("GET", f"/audit-logs?page={page}&limit=3").json["total"] == 7
    assert messages(web_ui, page=9, limit=3) == []


def test_filters(web_ui: WebUIUnderTest) -> None:
    audit(web_ui, an_event("one", hostname="core-1", source="snmp"), 1, "NETO", Handling.PAGE_AND_TICKET)
    audit(web_ui, an_event("two", hostname="core-2"), 12, "UNIX", Handling.TICKET_ONLY)
    audit(web_ui, an_event("Three 100%", hostname="Core-1"))
    assert messages(web_ui, hostname="core-1") == ["one"]
    assert messages(web_ui, hostname="core-*") == ["two", "one"]
    assert messages(web_ui, hostname="core") == []
    assert messages(web_ui, rule_id="1") == ["one"]
    assert messages(web_ui, rule_id="none") == ["Three 100%"]
    assert messages(web_ui, handling="Ticket_only") == ["two"]
    assert messages(web_ui, team="NETO") == ["one"]
    assert messages(web_ui, source="snmp") == ["one"]
    assert messages(web_ui, q="tHREE") == ["Three 100%"]
    assert messages(web_ui, q="0%") == ["Three 100%"]
    assert messages(web_ui, q="T%o") == []
    assert messages(web_ui, hostname="core-*", team="UNIX", rule_id="12") == ["two"]
    assert len(messages(web_ui, hostname="", rule_id="", start_date="", end_date="", handling="", q="")) == 3


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2026-01-15", "2026-01-15", ["last", "noon", "first"]),
        ("2026-01-15T12:00:00", None, ["after", "last", "noon"]),
        ("2026-01-15T13:00:00+01:00", "2026-01-15T12:00:00Z", ["noon"]),
        ("2026-01-15 12:00", "2026-01-15T23:59:59.999999", ["last", "noon"]),
        (None, "2026-01-14", ["before"]),
        (None, "9999-12-31", ["after", "last", "noon", "first", "before"]),
        ("0001-01-01T00:00:00+14:00", "20260115", ["last", "noon", "first", "before"]),
    ],
)
def test_dates_and_times(web_ui: WebUIUnderTest, start: str | None, end: str | None, found: list[str]) -> None:
    day = BEGIN.replace(hour=0)
    moments = {
        "before": day - timedelta(microseconds=1), "first": day, "noon": BEGIN,
        "last": day + timedelta(days=1, microseconds=-1), "after": day + timedelta(days=1),
    }  # fmt: skip
    for name, moment in moments.items():
        audit(web_ui, an_event(name, timestamp=moment))
    given = {"start_date": start, "end_date": end}
    assert messages(web_ui, **{name: value for name, value in given.items() if value}) == found


def test_an_offset_whose_plus_became_a_space_is_understood(web_ui: WebUIUnderTest) -> None:
    audit(web_ui, an_event("noon"))
    answer = web_ui.call("GET", "/audit-logs?start_date=2026-01-15T13:00:00+01:00&end_date=2026-01-15T13:00:00+01:00")
    assert len(answer.json["logs"]) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start_date=yesterday", "start_date"),
        ("end_date=2026-02-30", "end_date"),
        ("end_date=2026-01-01&start_date=2026-01-02", "end_date"),
        ("limit=201", "limit"),
        ("limit=0", "limit"),
        ("page=0", "page"),
        ("page=501&limit=200", "page"),
        ("rule_id=abc", "rule_id"),
        ("rule_id=-1", "rule_id"),
        ("table_name=alert_rules", "table_name"),
        ("hostname=" + "x" * 501, "hostname"),
    ],
)
def test_what_makes_no_sense_is_named(web_ui: WebUIUnderTest, query: str, field: str) -> None:
    refused = web_ui.call("GET", f"/audit-logs?{query}")
    assert (refused.status_code, refused.json["field"]) == (400, field)
    assert field in refused.json["error"]


def test_two_hundred_on_a_page_and_no_deeper_than_a_hundred_thousand(web_ui: WebUIUnderTest) -> None:
    assert web_ui.call("GET", "/audit-logs?limit=200&page=500").status_code == 200
    assert "narrow" in web_ui.call("GET", "/audit-logs?limit=200&page=501").json["error"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_filters_is_only_text(web_ui: WebUIUnderTest, text: str) -> None:
    audit(web_ui, an_event("plain", hostname="plain", source="plain"), None, "plain")
    for name in ("hostname", "q", "team", "source", "handling"):
        if (name, text) != ("hostname", "*"):
            assert messages(web_ui, **{name: text}) == []
    stored = text.replace("\0", "\ufffd")
    audit(web_ui, an_event(f"x{stored}y", hostname=f"{stored}h", source=stored), None, stored)
    for given in ({"q": text}, {"team": text}, {"source": text}, {"hostname": f"{text}h"}):
        assert messages(web_ui, **given) == [f"x{stored}y"]


def test_the_total_is_exact_up_to_ten_thousand_and_an_estimate_beyond(web_ui: WebUIUnderTest) -> None:
    many = (
        "INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, handling, "
        "ingestion_timestamp, content_hash) SELECT gen_random_uuid(), gen_random_uuid(), "
        "timestamptz '2026-01-15 12:00Z' + n * interval '1 s', 'h' || n %% 2, 'm', 'Log_only', now(), n "
        "FROM generate_series(%s, %s) AS n"
    )
    web_ui.query(many, 1, events.COUNTED)
    exact = web_ui.call("GET", "/audit-logs").json
    assert (exact["total"], exact["total_is_estimate"]) == (events.COUNTED, False)
    web_ui.query(many, events.COUNTED + 1, 2 * events.COUNTED + 100)
    web_ui.query("ANALYZE event_audit_log")
    estimate = web_ui.call("GET", "/audit-logs").json
    assert estimate["total_is_estimate"] is True
    assert estimate["total"] == pytest.approx(2 * events.COUNTED + 100, rel=0.2)
    half = web_ui.call("GET", "/audit-logs?hostname=h1").json
    assert half["total_is_estimate"] is True
    assert half["total"] == pytest.approx(events.COUNTED, rel=0.2)


def test_a_search_that_takes_too_long_says_so(web_ui: WebUIUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    web_ui.query(
        "INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, handling, "
        "ingestion_timestamp, content_hash) SELECT gen_random_uuid(), gen_random_uuid(), now(), 'h', "
        "repeat('m', 2000), 'Log_only', now(), n FROM generate_series(1, 5000) AS n"
    )
    monkeypatch.setattr(events, "PAGE_TIMEOUT_MS", 1)
    for path in ("/audit-logs?q=nothing", "/audit-logs/export?q=nothing"):
        refused = web_ui.call("GET", path)
        assert (refused.status_code, refused.json["field"]) == (422, "start_date")
        assert "narrow" in refused.json["error"]
    monkeypatch.undo()
    monkeypatch.setattr(events, "COUNT_TIMEOUT_MS", 1)
    answer = web_ui.call("GET", "/audit-logs?q=mmmm")
    assert (len(answer.json["logs"]), answer.json["total_is_estimate"]) == (50, True)


def exported(web_ui: WebUIUnderTest, **query: Any) -> list[dict[str, str]]:
    answer = web_ui.call("GET", f"/audit-logs/export?{urlencode(query)}", key=VIEWER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mutt-events.csv"'
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def test_the_export_holds_what_the_filter_names(web_ui: WebUIUnderTest) -> None:
    audit(web_ui, an_event('says "no", twice;\nand again ü', hostname="a"), 3, "NETO", Handling.TICKET_ONLY)
    audit(web_ui, an_event("other", hostname="b", attributes=msgspec.Raw(b'{"x":1}')))
    (row,) = exported(web_ui, hostname="a")
    assert (row["hostname"], row["message"]) == ("a", 'says "no", twice;\nand again ü')
    assert (row["rule_id"], row["team_assignment"], row["handling"]) == ("3", "NETO", "Ticket_only")
    assert row["event_timestamp"] == "2026-01-15T12:00:00+00:00"
    assert [each["attributes"] for each in exported(web_ui)] == ['{"x":1}', ""]
    assert web_ui.call("GET", "/audit-logs/export?start_date=never").json["field"] == "start_date"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_nothing(web_ui: WebUIUnderTest, begin: str) -> None:
    text = f"{begin}cmd|' /C calc'!A0"
    audit(web_ui, an_event(text, hostname=text, source=text), None, text)
    (row,) = exported(web_ui)
    for name in ("message", "hostname", "source", "team_assignment"):
        assert row[name] == f"'{text}"


def test_the_export_ends_at_its_limits(web_ui: WebUIUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        audit(web_ui, an_event(f"m{number}", timestamp=BEGIN + timedelta(seconds=number)))
    monkeypatch.setattr("mutt.admin.services.events.MOST_EXPORTED", 3)
    assert [each["message"] for each in exported(web_ui)] == ["m4", "m3", "m2"]
    monkeypatch.setattr("mutt.admin.services.events.MOST_EXPORTED_CHARACTERS", 1)
    assert [each["message"] for each in exported(web_ui)] == ["m4"]
