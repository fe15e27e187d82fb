"""The main path with real processes: from HTTP to the audit log and the webhook."""

import json
import re
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.support import syslog
from tests.support.appliance import Appliance
from tests.support.waiting import wait_until

MOOG_SEVERITY = {0: 5, 1: 5, 2: 4, 3: 3, 4: 2, 5: 1, 6: 1, 7: 1, None: 1}


def expected_rule(message: str) -> int | None:
    """Which of the three example rules matches, by their definition in the guide."""
    if "CRITICAL" in message:
        return 1
    if re.search("Interface.*down", message):
        return 2
    return 3 if re.search("disk.*full", message) else None


def send(appliance: Appliance, events: list[dict[str, Any]], how: str) -> None:
    if how == "single":
        for each in events:
            assert appliance.post(each).status_code == 202
    elif how == "jsonarray":
        assert appliance.post(syslog.as_jsonarray(events)).json()["accepted"] == len(events)
    else:
        answer = appliance.post(syslog.as_newline(events), headers={"Content-Type": "text/plain"})
        assert answer.json()["accepted"] == len(events)


@pytest.mark.parametrize("how", ["single", "jsonarray", "newline"])
@pytest.mark.parametrize("text_severity", [True, False], ids=["string-severity", "numeric-severity"])
def test_real_lines_are_audited_judged_and_forwarded(appliance: Appliance, how: str, text_severity: bool) -> None:
    events = syslog.rendered(120 if how == "single" else 800, text_severity)
    events += [syslog.event(f"CRITICAL: fan {n} failed", syslog_severity=2) for n in range(5)]
    events += [syslog.event(f"disk /dev/sda{n} is full", syslog_severity="3") for n in range(5)]

    send(appliance, events, how)
    appliance.wait_until_idle()

    by_id = {each["correlation_id"]: each for each in events}
    rows = appliance.query(
        "SELECT correlation_id::text, rule_id, handling, syslog_severity, hostname FROM event_audit_log"
    )
    assert Counter(row[0] for row in rows) == Counter(list(by_id))
    for correlation_id, rule_id, _handling, severity, hostname in rows:
        sent = by_id[correlation_id]
        assert (rule_id, severity, hostname) == (
            expected_rule(sent["message"]), int(sent["syslog_severity"]), sent["hostname"]
        )  # fmt: skip
    must_arrive = {each["correlation_id"] for each in events if expected_rule(each["message"])}
    arrived = [alert for alert in appliance.received() if alert["source"] != "mutt"]
    assert Counter(alert["external_id"] for alert in arrived) == Counter(must_arrive)
    for alert in arrived:
        assert alert["severity"] == MOOG_SEVERITY[int(by_id[alert["external_id"]]["syslog_severity"])]


def test_meta_alert_at_the_threshold_and_only_once(appliance: Appliance) -> None:
    quiet = [syslog.event(f"session {n} opened for user u{n}") for n in range(19)]
    appliance.post(quiet)
    appliance.wait_until_idle()
    assert appliance.received() == []

    for n in range(19, 60):
        appliance.post(syslog.event(f"session {n} opened for user u{n}"))
    appliance.wait_until_idle()

    (meta,) = wait_until(appliance.received, "the meta-alert")
    assert (meta["source"], meta["class"]) == ("mutt", "NETO")
    about = meta["custom_info"]["unhandled"]
    assert about["pattern"] == "syslog:session <n> opened for user u<n>"
    assert 20 <= about["count"] <= 60
    assert "opened for user" in about["sample"]
    assert meta["external_id"] not in {each["correlation_id"] for each in quiet}
    assert appliance.query("SELECT count(*) FROM event_audit_log WHERE hostname = 'mutt'") == [(0,)]


def test_development_hosts_and_teams_change_the_decision(appliance: Appliance) -> None:
    appliance.query("INSERT INTO development_hosts (hostname) VALUES ('Lab-1') RETURNING id")
    appliance.query("INSERT INTO device_teams (hostname, team_assignment) VALUES ('core-1', 'CORE') RETURNING id")
    appliance.redis().publish("mutt:rules:updates", "changed")
    wait_until(lambda: appliance.metric("METRICS_PORT_ALERTER", "mutt_alerter_cache_teams_count") == 1, "the reload")

    appliance.post([syslog.event("Interface Gi0/1 down", hostname=host) for host in ("LAB-1", "core-1", "edge-1")])
    appliance.wait_until_idle()

    rows = appliance.query("SELECT hostname, handling, team_assignment FROM event_audit_log ORDER BY hostname")
    assert sorted(rows) == [
        ("LAB-1", "Email_only", "NETO"),
        ("core-1", "Page_and_ticket", "CORE"),
        ("edge-1", "Page_and_ticket", "NETO"),
    ]
    assert sorted(alert["class"] for alert in appliance.received()) == ["CORE", "NETO"]


def test_a_changed_rule_is_in_use_after_the_publish(appliance: Appliance) -> None:
    insert = """
        INSERT INTO alert_rules (match_string, match_type, priority, prod_handling, dev_handling, team_assignment)
        VALUES (%s, %s, 1000, 'Ticket_only', 'Log_only', 'UNIX') RETURNING id"""
    (rule_id,) = appliance.query(insert, "oom-killer: .*pid=[0-9]+", "regex")[0]
    (broken_id,) = appliance.query(insert, "(?=look-ahead)", "regex")[0]
    try:
        appliance.redis().publish("mutt:rules:updates", "changed")
        unusable = "mutt_alerter_cache_unusable_rules_count"
        wait_until(lambda: appliance.metric("METRICS_PORT_ALERTER", unusable) == 1, "the broken rule to be reported")
        appliance.post(syslog.event("oom-killer: killed CRITICAL process pid=12"))
        appliance.wait_until_idle()
        assert appliance.query("SELECT rule_id, handling FROM event_audit_log") == [(rule_id, "Ticket_only")]
    finally:
        appliance.query("DELETE FROM alert_rules WHERE id IN (%s, %s) RETURNING id", rule_id, broken_id)
        appliance.reload_rules()


def test_the_same_event_sent_twice_has_one_row_and_one_alert(appliance: Appliance) -> None:
    event = syslog.event("CRITICAL: fuse blown")
    other = {**event, "message": "CRITICAL: another thing under the same correlation id"}
    appliance.post(event)
    appliance.wait_until_idle()
    appliance.post([event, event, other])
    appliance.wait_until_idle()

    assert appliance.audited() == 2
    expected = sorted([event["message"], other["message"]])
    assert sorted(alert["description"] for alert in appliance.received()) == expected


def test_unknown_fields_reach_the_audit_row_and_the_alert(appliance: Appliance) -> None:
    appliance.post(syslog.event("CRITICAL: x\x00y", facility="local7", tags=["a", {"b": 1}], attributes={"mine": True}))
    appliance.wait_until_idle()
    (row,) = appliance.query("SELECT attributes, message FROM event_audit_log")
    expected = {"facility": "local7", "tags": ["a", {"b": 1}], "attributes": {"mine": True}}
    assert row == (expected, "CRITICAL: x\ufffdy")
    (alert,) = appliance.received()
    assert alert["custom_info"]["attributes"] == expected


def test_a_message_of_an_unknown_kind_in_the_queue_is_adopted_or_buried(appliance: Appliance) -> None:
    client, correlation_id = appliance.redis(), str(uuid.uuid4())
    bare = {"timestamp": "2026-01-01T00:00:00", "message": "CRITICAL: bare", "hostname": "h"}
    bare["correlation_id"] = correlation_id
    client.lpush("mutt:ingest_queue", json.dumps(bare), "not json at all")
    wait_until(lambda: client.llen("mutt:dlq:alerter") or client.llen("mutt:poison:permanent"), "the dead letter")
    appliance.wait_until_idle()
    assert appliance.query("SELECT correlation_id::text, rule_id FROM event_audit_log") == [(correlation_id, 1)]
    assert len(appliance.received()) == 1


def test_ten_thousand_events_at_once(appliance: Appliance) -> None:
    """500-event batches and single ones: accepted = audited, forwardable = received, nothing twice, nothing left."""
    forwardable = 0
    for batch in range(8):
        events = [
            syslog.event(f"batch {batch} number {n}: " + ("CRITICAL" if n % 10 == 0 else "ok")) for n in range(500)
        ]
        forwardable += sum("CRITICAL" in each["message"] for each in events)
        assert appliance.post(events).json()["accepted"] == 500
    for n in range(200):
        assert appliance.post(syslog.event(f"single {n} CRITICAL")).status_code == 202
    appliance.wait_until_idle()

    assert appliance.query("SELECT count(*), count(DISTINCT event_id) FROM event_audit_log") == [(4200, 4200)]
    external = [alert["external_id"] for alert in appliance.received() if alert["source"] != "mutt"]
    assert len(external) == len(set(external)) == forwardable + 200
    assert appliance.redis().llen("mutt:dlq:alerter") + appliance.redis().llen("mutt:dlq:moog") == 0
    attempts = appliance.query("SELECT outcome, count(*) FROM alert_delivery_log GROUP BY 1")
    assert attempts == [("delivered", len(appliance.received()))]
