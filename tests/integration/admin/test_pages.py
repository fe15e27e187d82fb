"""The dashboard without JavaScript: who sees what, what its forms do, and what it shows when something is wrong."""

import hashlib
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
import pytest

import mutt.admin
from mutt.cli.main import main
from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.events.alert import Alert
from mutt.events.dead_letter import DeadLetter
from mutt.rules.rule import Handling
from tests.integration.admin.test_unhandled import an_event as an_unmatched_event
from tests.integration.admin.test_unhandled import id_of, settle
from tests.support.audit_rows import an_event, audit
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.visitor import Visitor
from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest

XSS = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"

RULE = {
    "match_type": "contains", "match_string": "BGP down", "priority": "700", "prod_handling": "Page_and_ticket",
    "dev_handling": "Log_only", "team_assignment": "backbone",
}  # fmt: skip

PAGES = (
    "/", "/rules", "/rules/test", "/rules/backtest", "/rules/code", "/events", "/unhandled", "/dead-letters",
    "/dead-letters/ingest", "/dead-letters/alerter", "/dead-letters/moog", "/dead-letters/poison", "/hosts", "/config",
    "/config/moog_rate_limit", "/audit", "/doctor",
)  # fmt: skip

CHANGES = (
    "/rules/new", "/rules/1", "/rules/1/delete", "/rules/code/apply", "/unhandled/0123456789abcdef/ignore",
    "/dead-letters/moog/replay", "/dead-letters/moog/discard", f"/dead-letters/moog/{'0' * 40}", "/hosts",
    "/hosts/remove", "/hosts/teams", "/hosts/teams/change", "/hosts/teams/remove", "/config/moog_rate_limit",
    "/config/moog_rate_limit/reset", "/audit/1/undo",
)  # fmt: skip
"""Every address that changes something."""


@pytest.fixture
def admin(web_ui: WebUIUnderTest) -> Visitor:
    return Visitor(web_ui)


def a_letter(message: str, hostname: str = "core-1", correlation_id: str = "") -> bytes:
    """A dead letter of the forwarder, as it lies in Redis."""
    item = an_event(message, hostname=hostname)
    alert = Alert(
        event_id=item.event_id, correlation_id=correlation_id or item.correlation_id, timestamp=item.timestamp,
        ingestion_timestamp=item.ingestion_timestamp, hostname=hostname, message=message, signature="s",
        handling="Page_and_ticket", team_assignment="backbone", environment="production", rule_id=1,
    )  # fmt: skip
    payload = msgspec.Raw(msgspec.json.encode(alert))
    return dead_letter.encode(DeadLetter(Reason.REFUSED_BY_RECEIVER, message, "moog", item.timestamp, payload, 1))


# --- logging in ---------------------------------------------------------------------------------------------------


def test_a_wrong_key_gets_the_form_again_and_no_session(web_ui: WebUIUnderTest) -> None:
    visitor = Visitor(web_ui, key=None)
    refused = visitor.send("/login", {"api_key": "wrong"})
    assert refused.status == 401
    assert refused.problems == ["that is not a valid API key"]
    assert visitor.get("/").status == 401


def test_whoever_is_not_logged_in_comes_to_the_page_after_it(web_ui: WebUIUnderTest) -> None:
    visitor = Visitor(web_ui, key=None)
    asked = visitor.get("/rules?q=bgp")
    assert asked.status == 401
    assert asked.form("/login").values["next"] == "/rules?q=bgp"
    assert visitor.submit(asked.form("/login"), api_key=VIEWER).text.startswith("Rules")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "x", "/\r\nSet-Cookie: a=b"]
)
def test_a_login_leads_nowhere_else(web_ui: WebUIUnderTest, elsewhere: str) -> None:
    answered = Visitor(web_ui, key=None).send("/login", {"api_key": ADMIN, "next": elsewhere})
    assert answered.answer.headers["Location"] == "/"


def test_a_key_in_the_address_is_exchanged_at_once(web_ui: WebUIUnderTest) -> None:
    visitor = Visitor(web_ui, key=None)
    answered = visitor.get(f"/?api_key={VIEWER}")
    assert (answered.status, answered.answer.headers["Location"]) == (303, "/")
    assert visitor.get("/").status == 200


def test_logging_out_ends_the_session(admin: Visitor) -> None:
    page = admin.submit(admin.get("/").form("/logout"))
    assert page.form("/login")
    assert admin.get("/").status == 401


# --- who may see and do what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [VIEWER, OPERATOR, ADMIN])
def test_every_page_is_for_everybody(web_ui: WebUIUnderTest, key: str) -> None:
    visitor = Visitor(web_ui, key)
    for path in PAGES:
        page = visitor.get(path)
        assert page.status == 200, path
        assert not page.problems, (path, page.problems)


def test_forms_are_there_for_those_who_may_use_them(web_ui: WebUIUnderTest) -> None:
    fill(web_ui)
    harmless = {"/logout", "/rules/test", "/rules/backtest", "/rules/code"}
    offered: dict[str, set[str]] = {}
    for key in (VIEWER, OPERATOR, ADMIN):
        visitor = Visitor(web_ui, key)
        pages = [visitor.get(path) for path in (*PAGES, "/rules/1", "/audit/1")]
        offered[key] = {target.partition("?")[0] for page in pages for target in page.posts()} - harmless
    assert offered[VIEWER] <= {"/rules/1"}  # The form in which a rule is tried; its button to save is not there.
    assert "Save" not in Visitor(web_ui, VIEWER).get("/rules/1").form("/rules/1").buttons
    assert "/hosts" in offered[OPERATOR]
    assert not any(target.startswith("/config") for target in offered[OPERATOR])
    assert "/config/moog_rate_limit" in offered[ADMIN]


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_needs_the_token_of_the_session_and_a_wide_enough_key(web_ui: WebUIUnderTest, path: str) -> None:
    fill(web_ui)
    before = web_ui.query("SELECT count(*) FROM config_audit_log")
    viewer, admin = Visitor(web_ui, VIEWER), Visitor(web_ui)
    assert Visitor(web_ui, key=None).send(path, RULE).status == 401
    for forged in ({}, {"csrf": "guessed"}, {"csrf": viewer.get("/rules/test").forms[0].values["csrf"]}):
        assert admin.send(path, RULE | forged).status == 403
    refused = viewer.send(path, RULE | {"csrf": viewer.get("/").form("/logout").values["csrf"]})
    assert refused.status == 403
    assert "this needs" in refused.problems[0]
    assert web_ui.query("SELECT count(*) FROM config_audit_log") == before


# --- what is shown ------------------------------------------------------------------------------------------------


def test_the_policy_lets_only_our_files_run(admin: Visitor) -> None:
    for path in (*PAGES, "/rules/new", "/nowhere"):
        page = admin.get(path)
        policy = page.answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert page.answer.headers["Cache-Control"] == "no-store"
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"], path
        assert not re.findall(r"<script(?![^>]* src=)|<style", page.html), path


def test_nothing_in_the_templates_is_marked_safe() -> None:
    templates = Path(mutt.admin.__file__).parent / "templates"
    for file in templates.glob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape|Markup", file.read_text()), file.name


def test_vendored_files_are_what_their_list_says() -> None:
    vendor = Path(mutt.admin.__file__).parent / "static" / "vendor"
    listed = re.findall(r"\| `([^`]+)` .* `([0-9a-f]{64})` \|", (vendor / "README.md").read_text())
    assert {name for name, _ in listed} == {str(file.relative_to(vendor)) for file in vendor.glob("*/*.js")}
    for name, digest in listed:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest


def test_what_came_from_elsewhere_is_text_on_every_page(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    ids = fill(web_ui, XSS)
    shown = {
        "/": XSS, "/rules": XSS, "/rules/1": XSS, "/events": XSS, f"/events/{ids['event']}": XSS, "/hosts": XSS,
        "/dead-letters": XSS, "/dead-letters/moog": XSS, f"/dead-letters/moog/{ids['letter']}": XSS, "/audit": XSS,
        "/audit/1": XSS, "/config/moog_rate_limit": XSS, "/unhandled": XSS,
        f"/rules?q={XSS}": XSS, f"/events?hostname={XSS}": XSS, f"/audit?changed_by={XSS}": XSS, f"/nowhere/{XSS}": "",
        f"/dead-letters/{XSS}": "", f"/config/{XSS}": "", f"/events/{XSS}": "",
    }  # fmt: skip
    for path, expected in shown.items():
        page = admin.get(path.replace("<", "%3C").replace(">", "%3E").replace('"', "%22").replace("'", "%27"))
        assert "<script>alert" not in page.html, path
        assert "<img src=x" not in page.html, path
        assert not [name for name, _ in page.attributes if name == "onerror"], path
        if expected:
            assert "&lt;script&gt;alert" in page.html, path


def test_empty_pages_say_what_to_do_next(admin: Visitor) -> None:
    said = {
        "/": "No event has been audited yet. Send one", "/rules": "Make the first rule", "/events": "Point a source at",
        "/unhandled": "test an event", "/dead-letters": "is put aside here", "/dead-letters/moog": "nothing to do",
        "/hosts": "Add the hosts", "/audit": "Nobody has changed anything yet",
        "/config/moog_rate_limit": "It has never been changed", "/rules?q=nothing": "Show all rules",
        "/events?q=nothing": "Show all events", "/audit?changed_by=nobody": "Show all changes",
    }  # fmt: skip
    for path, sentence in said.items():
        assert sentence in admin.get(path).text, path


def test_a_path_that_is_not_there(admin: Visitor) -> None:
    page = admin.get("/nowhere")
    assert (page.status, page.problems) == (404, ["there is no page /nowhere"])
    assert admin.get("/rules/4711").status == 404
    assert admin.get("/rules/x").status == 404
    assert admin.get("/nowhere", Accept="application/json").answer.json["status"] == 404


def test_every_command_that_a_page_shows_is_one(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    ids = fill(web_ui)
    more = ("/rules/new", "/rules/1", "/audit/1", f"/events/{ids['event']}", f"/dead-letters/moog/{ids['letter']}")
    filtered = (
        "/rules?q=-x&team=a%20b",
        "/events?q=--host&hostname=core-*&rule_id=none",
        "/audit?table_name=alert_rules",
    )
    for path in (*PAGES, *more, *filtered):
        commands = admin.get(path).commands
        assert commands, path
        for command in commands:
            parse(shlex.split(command))


def parse(words: list[str]) -> None:
    """Has mutt-admin read its command line, and does nothing."""
    assert words.pop(0) == "mutt-admin"
    command: click.Command = main
    context = click.Context(main, info_name="mutt-admin")
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    context = click.Context(command, allow_extra_args=True, ignore_unknown_options=False)
    with pytest.MonkeyPatch.context() as patched:
        for each in command.params:
            if isinstance(each.type, click.File | click.Path):
                patched.setattr(each, "type", click.UNPROCESSED)  # The file need not be there.
        command.parse_args(context, words)


# --- what a form does ---------------------------------------------------------------------------------------------


def test_a_rule_is_made_changed_and_deleted(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    made = admin.submit(admin.get("/rules/new").form("/rules/new"), **RULE, reason="runbook 7")
    assert "Rule 1 is made." in made.text
    assert "Rule 1 is made." not in admin.get("/rules/1").text  # It is told once.
    saved = admin.submit(made.form("/rules/1"), "Save", priority="710", syslog_severity="3")
    assert "Rule 1 is saved." in saved.text
    assert web_ui.call("GET", "/rules/1").json["priority"] == 710
    assert web_ui.call("GET", "/rules/1").json["syslog_severity"] == 3
    deleted = admin.submit(saved.form("/rules/1/delete"), reason="not needed")
    assert "Rule 1 is deleted." in deleted.text
    assert web_ui.query("SELECT changed_by, operation, reason FROM config_audit_log ORDER BY id") == [
        ("webui", "CREATE", "runbook 7"), ("webui", "UPDATE", None), ("webui", "DELETE", "not needed"),
    ]  # fmt: skip


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    form = admin.get("/rules/new").form("/rules/new")
    page = admin.submit(form, **RULE | {"priority": "2000", "team_assignment": "", "match_string": "a < b"})
    assert page.status == 422
    assert [each.partition(":")[0] for each in page.problems] == ["priority", "team_assignment is needed"]
    assert page.form("/rules/new").values["match_string"] == "a < b"
    refused = admin.submit(form, **RULE | {"match_type": "regex", "match_string": "(?=x)"})
    assert refused.status == 422 or refused.status == 400
    assert any("match_string" in each for each in refused.problems)
    assert web_ui.query("SELECT count(*) FROM alert_rules") == [(0,)]


def test_a_rule_that_has_changed_since_is_not_overwritten_unseen(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    web_ui.call("POST", "/rules", {**RULE, "priority": 700})
    form = admin.get("/rules/1").form("/rules/1")
    web_ui.call("PUT", "/rules/1", {"team_assignment": "access"})
    page = admin.submit(form, "Save", priority="5")
    assert page.status == 412
    assert "has been changed since you opened it" in page.text
    assert page.form("/rules/1").values["priority"] == "5"
    assert "Rule 1 is saved." in admin.submit(page.form("/rules/1"), "Save").text
    assert web_ui.call("GET", "/rules/1").json["priority"] == 5


def test_a_draft_is_tried_on_an_event(web_ui: WebUIUnderTest) -> None:
    viewer = Visitor(web_ui, VIEWER)
    event = json.dumps(
        {"timestamp": "2026-01-15T12:00:00Z", "hostname": "core-1", "message": "BGP down", "syslog_severity": 1}
    )
    plain = viewer.submit(viewer.get("/rules/test").form("/rules/test"), "Test", event=event)
    assert "no rule matches" in plain.text
    page = viewer.submit(plain.form("/rules/test"), "Test", event=event, draft="true", **RULE)
    assert "the draft decides" in page.text
    assert '"severity": 5' in page.text  # The payload, as the webhook would get it.
    broken = viewer.submit(page.form("/rules/test"), "Test", event="{")
    assert broken.status == 422
    assert broken.problems[0].startswith("that is not a JSON object")
    assert broken.form("/rules/test").values["event"] == "{"


def recent(web_ui: WebUIUnderTest) -> None:
    """Two events of the last hour."""
    now = datetime.now(UTC)
    for minutes in (5, 10):
        moment = now - timedelta(minutes=minutes)
        audit(web_ui, an_event("BGP down", timestamp=moment, ingestion_timestamp=moment))


def test_a_backtest_without_javascript(web_ui: WebUIUnderTest) -> None:
    recent(web_ui)
    viewer = Visitor(web_ui, VIEWER)
    page = viewer.submit(viewer.get("/rules/backtest").form("/rules/backtest"), "Backtest", **RULE)
    assert "2 events judged" in page.text
    assert "2 would page now" in page.text
    wrong = viewer.submit(page.form("/rules/backtest"), "Backtest", **RULE, start="yesterday")
    assert wrong.problems == ["start: 'yesterday' is not a time such as 2026-01-31T14:00:00Z"]
    removal = viewer.submit(page.form("/rules/backtest"), "Backtest", trial="remove", rule_id="")
    assert removal.problems[0].startswith("which rule would be removed?")


def test_a_backtest_tells_how_far_it_is(web_ui: WebUIUnderTest) -> None:
    recent(web_ui)
    viewer = Visitor(web_ui, VIEWER)
    form = viewer.get("/rules/backtest").form("/rules/backtest")
    answer = viewer.send("/rules/backtest", form.values | RULE, Accept="application/x-ndjson").answer
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert lines[0].keys() == {"events", "of", "seconds"}
    assert "2 would page now" in lines[-1]["html"]
    refused = viewer.send("/rules/backtest", form.values | {"match_string": ""}, Accept="application/x-ndjson").answer
    assert 'class="problem"' in json.loads(refused.text.splitlines()[-1])["html"]


DOCUMENT = """
version: 1
rules:
  - match_type: contains
    match_string: BGP down
    priority: 700
    prod_handling: Page_and_ticket
    dev_handling: Log_only
    team_assignment: backbone
"""


def test_a_document_of_rules_is_planned_before_it_is_applied(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    form = admin.get("/rules/code").form("/rules/code")
    planned = admin.submit(form, "Show the plan", document=DOCUMENT)
    assert "1 to make, 0 to change, 0 to delete" in planned.text
    assert web_ui.query("SELECT count(*) FROM alert_rules") == [(0,)]
    web_ui.call("POST", "/rules", {**RULE, "priority": 700, "match_string": "another"})
    stale = admin.submit(planned.form("/rules/code"), "Apply this plan")
    assert stale.status == 412
    applied = admin.submit(stale.form("/rules/code"), "Apply this plan")
    assert "Applied: 1 made, 0 changed, 0 deleted" in applied.text
    assert admin.submit(form, "Show the plan", document="- 1").problems == [
        "the document must be a mapping with the member 'rules'"
    ]
    for document in ("a: [", "&a [*a]", "rules: [{priority: x}]"):
        assert admin.submit(form, "Show the plan", document=document).status == 422


def test_hosts_and_teams(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    page = admin.submit(admin.get("/hosts").form("/hosts"), hostname="lab-1")
    assert "lab-1 is a development host now." in page.text
    again = admin.submit(page.form("/hosts"), hostname="lab-1", description="twice")
    assert again.status == 409
    assert again.form("/hosts").values["description"] == "twice"
    assert again.problems
    removed = admin.submit(page.form("/hosts/remove"))
    assert "lab-1 is not a development host any more." in removed.text
    page = admin.submit(removed.form("/hosts/teams"), hostname="pdu-3", team_assignment="power")
    assert "pdu-3 belongs to power now." in page.text
    page = admin.submit(page.form("/hosts/teams/change"), team_assignment="night")
    assert web_ui.query("SELECT hostname, team_assignment FROM device_teams") == [("pdu-3", "night")]
    assert "The rules decide the team of pdu-3 again." in admin.submit(page.form("/hosts/teams/remove")).text


def test_a_setting_is_changed_and_reset(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    page = admin.submit(
        admin.get("/config/moog_rate_limit").form("/config/moog_rate_limit"), "Save", value="80", reason="storm"
    )
    assert "moog_rate_limit is 80 now." in page.text
    assert web_ui.redis().get("mutt:config:moog_rate_limit") == b"80"
    for wrong in ("many", "0"):
        refused = admin.submit(page.form("/config/moog_rate_limit"), "Save", value=wrong)
        assert refused.status >= 400
        assert refused.problems
        assert refused.form("/config/moog_rate_limit").values["value"] == wrong
    reset = admin.submit(page.form("/config/moog_rate_limit"), "Reset to the default")
    assert "moog_rate_limit is back at 50." in reset.text
    assert "storm" in reset.text  # The history


def test_settings_that_are_switched_off_say_so(postgres_server: PrivatePostgres, redis_server: PrivateRedis) -> None:
    visitor = Visitor(WebUIUnderTest(redis_server, postgres_server, DYNAMIC_CONFIG_ENABLED="false"))
    for path in ("/config", "/config/moog_rate_limit"):
        page = visitor.get(path)
        assert "DYNAMIC_CONFIG_ENABLED is false" in page.text
        assert page.posts() == {"/logout"}


def test_dead_letters_are_replayed_and_discarded(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    ids = fill(web_ui)
    lists = admin.get("/dead-letters")
    assert "refused_by_receiver" in lists.text
    page = admin.get("/dead-letters/moog")
    form = page.form("/dead-letters/moog/replay")
    none = admin.submit(form, "Replay")
    assert none.problems == ["no letter is ticked; tick some, or choose a reason or all"]
    unsaid = admin.submit(form, "Discard", ids=ids["letter"])
    assert unsaid.problems
    assert f'value="{ids["letter"]}" aria-label="letter 1" checked' in unsaid.html
    looked = admin.submit(form, "What would a replay do?", which="all")
    assert web_ui.redis().llen("mutt:dlq:moog") == 2, looked.text
    admin.submit(form, "Discard", ids=ids["letter"], reason="a test")
    assert web_ui.redis().llen("mutt:dlq:moog") == 1
    admin.submit(form, "Replay", which="reason:refused_by_receiver")
    assert web_ui.redis().llen("mutt:dlq:moog") == 0
    assert web_ui.redis().llen("mutt:alert_queue") == 1


def test_a_dead_letter_is_mended(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    address = f"/dead-letters/moog/{fill(web_ui)['letter']}"
    page = admin.get(address)
    form = page.form(address)
    alert = json.loads(form.values["payload"])
    broken = admin.submit(form, payload="{")
    assert broken.problems[0].startswith("that is not JSON")
    assert broken.form(address).values["payload"] == "{"
    saved = admin.submit(form, payload=json.dumps({**alert, "message": "mended"}), reason="typo")
    assert "The letter is changed." in saved.text
    assert "mended" in saved.text


def test_a_change_is_undone(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    web_ui.call("POST", "/rules", {**RULE, "priority": 700})
    web_ui.call("PUT", "/rules/1", {"priority": 5, "reason": "a mistake"})
    listed = admin.get("/audit")
    assert "priority: 700 → 5" in listed.text
    undone = admin.submit(admin.get("/audit/2").form("/audit/2/undo"), reason="back")
    assert "was undone" in undone.text
    assert web_ui.call("GET", "/rules/1").json["priority"] == 700
    again = admin.send("/audit/2/undo", {"csrf": undone.form("/logout").values["csrf"]})
    assert again.status == 409
    assert again.problems


def test_a_rule_is_made_of_an_unhandled_pattern(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    message = "%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down"
    settle(web_ui.redis(), [an_unmatched_event(message)])
    listed = admin.get("/unhandled")
    assert f'href="/rules/new?pattern={id_of(message)}"' in listed.html
    form = admin.get(f"/rules/new?pattern={id_of(message)}").form("/rules/new")
    assert json.loads(form.values["event"])["message"] == message
    assert "the draft decides" in admin.submit(form, "Test").text
    assert "Rule 1 is made." in admin.submit(form).text
    assert admin.get("/rules/new?pattern=0123456789abcdef").status == 404


def test_an_unhandled_pattern_is_ignored_and_taken_back(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    settle(web_ui.redis(), [an_unmatched_event("fan 3 failed")])
    address = f"/unhandled/{id_of('fan 3 failed')}/ignore"
    ignored = admin.submit(admin.get("/unhandled").form(address))
    assert "The pattern is ignored" in ignored.text
    assert "fan <n> failed" not in ignored.text
    again = admin.submit(admin.get("/unhandled?ignored=true").form(address))
    assert "is in the list again" in again.text
    assert "fan <n> failed" in admin.get("/unhandled").text


def test_events_are_found_and_followed(web_ui: WebUIUnderTest, admin: Visitor) -> None:
    ids = fill(web_ui)
    assert "link down" in admin.get("/events?hostname=core-*").text
    assert "No event is like that" in admin.get("/events?hostname=edge-9").text
    wrong = admin.get("/events?start_date=yesterday&hostname=core-1")
    assert wrong.status == 400
    assert wrong.problems
    assert wrong.form("/events").values["hostname"] == "core-1"
    followed = admin.get(f"/events?correlation_id={ids['event'].upper()}")
    assert followed.answer.headers["Location"] == f"/events/{ids['event']}"
    assert "What happened" in admin.get(f"/events/{ids['event']}").text
    assert ids["event"] in admin.get("/api/v2/audit-logs/export?hostname=core-1").html


def test_an_outage_of_redis_is_named_and_the_rest_is_shown(postgres_server: PrivatePostgres) -> None:
    redis_server = PrivateRedis()
    redis_server.start()
    web_ui = WebUIUnderTest(redis_server, postgres_server)
    visitor = Visitor(web_ui)
    audit(web_ui, an_event("seen before the outage"))
    redis_server.stop()
    page = visitor.get("/")
    assert page.status == 200
    assert "Away:" in page.problems[0]
    assert "seen before the outage" in page.text
    for path in PAGES:
        assert visitor.get(path).status in (200, 503), path
    for path in ("/rules", "/events", "/hosts", "/audit", "/dead-letters", "/unhandled"):
        assert visitor.get(path).status == 200, path


# --- what there is to be seen -------------------------------------------------------------------------------------


def fill(web_ui: WebUIUnderTest, text: str = "link down") -> dict[str, str]:
    """One of everything, with the text wherever text may stand."""
    host = re.sub(r"[\s/]", "", text) if "<" in text else "core-1"
    made = [
        web_ui.call(
            "POST",
            "/rules",
            {**RULE, "priority": 700, "match_string": text, "team_assignment": text[:100], "reason": text},
        ),
        web_ui.call("POST", "/dev-hosts", {"hostname": host, "description": text, "reason": text}),
        web_ui.call("POST", "/teams", {"hostname": host, "team_assignment": text[:100]}),
        web_ui.call("PUT", "/config/moog_rate_limit", {"value": 70, "reason": text}),
    ]
    assert [each.status_code for each in made] == [201, 201, 201, 200], [each.text for each in made]
    event = an_event(text, hostname=host, source=text[:50])
    audit(web_ui, event, rule_id=1, team=text[:50], handling=Handling.PAGE_AND_TICKET)
    letters = [a_letter(text, host, event.correlation_id), a_letter("another")]
    web_ui.redis().rpush("mutt:dlq:moog", *letters)
    settle(web_ui.redis(), [an_unmatched_event(text, host)])
    listed = web_ui.call("GET", "/dlq/moog").json["letters"]
    letter = next(each["id"] for each in listed if each["message"] == text)
    return {"event": event.correlation_id, "letter": letter}
