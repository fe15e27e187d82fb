"""The forwarder and remediation against a receiver that fails in every way it is told to."""

import json
import uuid
from collections import Counter

import requests

from tests.support import syslog
from tests.support.appliance import MOOG_KEY, WEBUI_KEY, Appliance
from tests.support.waiting import wait_until


def send_alerts(appliance: Appliance, number: int) -> set[str]:
    events = [syslog.event(f"CRITICAL: number {n}") for n in range(number)]
    assert appliance.post(events).json()["accepted"] == number
    return {each["correlation_id"] for each in events}


def external_ids(appliance: Appliance) -> "Counter[str]":
    return Counter(alert["external_id"] for alert in appliance.received())


def test_a_failure_or_two_are_only_a_delay(appliance: Appliance) -> None:
    appliance.behave(status=500, times=2)
    sent = send_alerts(appliance, 10)
    wait_until(lambda: set(external_ids(appliance)) == sent, "the alerts", seconds=20)
    appliance.wait_until_idle()
    outcomes = dict(appliance.query("SELECT outcome, count(*) FROM alert_delivery_log GROUP BY 1"))
    assert outcomes["delivered"] == 10
    assert outcomes["retry"] > 0
    assert appliance.redis().llen("mutt:dlq:moog") == 0


def test_retry_after_is_honoured(appliance: Appliance) -> None:
    appliance.behave(status=429, retry_after="1", times=1)
    sent = send_alerts(appliance, 3)
    wait_until(lambda: set(external_ids(appliance)) == sent, "the alerts", seconds=20)
    waits = appliance.query(
        "SELECT extract(epoch FROM max(attempted_at) - min(attempted_at))::float FROM alert_delivery_log"
    )
    assert waits[0][0] >= 0.9


def test_an_outage_opens_the_circuit_and_dead_letters_nothing(appliance: Appliance) -> None:
    client = appliance.redis()
    appliance.behave(status=503)
    sent = send_alerts(appliance, 30)
    wait_until(lambda: client.get("mutt:circuit:moog:state") == b"OPEN", "the circuit to open", seconds=20)
    assert appliance.metric("METRICS_PORT_MOOG", "mutt_moog_circuit_state") == 1
    sent |= send_alerts(appliance, 30)
    appliance.behave()
    # As if the minute that an open circuit stays shut had passed.
    client.set("mutt:circuit:moog:opened_at", "1")
    wait_until(lambda: set(external_ids(appliance)) == sent, "the alerts", seconds=20)
    appliance.wait_until_idle()
    assert client.get("mutt:circuit:moog:state") == b"CLOSED"
    assert client.llen("mutt:dlq:moog") + client.llen("mutt:poison:permanent") == 0
    assert max(external_ids(appliance).values()) == 1


def test_a_refused_alert_is_found_alone_replayed_and_becomes_poison(appliance: Appliance) -> None:
    client = appliance.redis()
    appliance.behave(refuse_containing="number 17")
    sent = send_alerts(appliance, 40)
    wait_until(lambda: len(external_ids(appliance)) == 39, "the others to arrive", seconds=20)
    (record,) = wait_until(lambda: client.lrange("mutt:poison:permanent", 0, -1), "the poison", seconds=30)
    letter = json.loads(record)
    assert (letter["reason"], letter["service"], letter["replays"]) == ("refused_by_receiver", "moog", 2)
    assert letter["payload"]["message"] == "CRITICAL: number 17"
    assert {letter["payload"]["correlation_id"]} == sent - set(external_ids(appliance))
    assert max(external_ids(appliance).values()) == 1


def test_remediation_replays_what_was_a_passing_fault(appliance: Appliance) -> None:
    appliance.behave(status=422, times=1)
    (sent,) = send_alerts(appliance, 1)
    line = 'mutt_remediation_replayed_total{source="moog",status="success"}'
    before = appliance.metric("METRICS_PORT_REMEDIATION", line)
    wait_until(lambda: external_ids(appliance) == {sent: 1}, "the replayed alert", seconds=20)
    assert appliance.metric("METRICS_PORT_REMEDIATION", line) == before + 1


def test_remediation_leaves_the_moog_list_alone_while_the_webhook_is_away(appliance: Appliance) -> None:
    client = appliance.redis()
    appliance.behave(status=500)
    healthy = "mutt_remediation_webhook_healthy"
    wait_until(lambda: appliance.metric("METRICS_PORT_REMEDIATION", healthy) == 0, "the probe to fail", seconds=10)
    letter = {
        "reason": "retries_exhausted", "error": "", "service": "moog", "failed_at": "2026-01-01T00:00:00Z",
        "payload": {"no": "alert"},
    }  # fmt: skip
    client.lpush("mutt:dlq:moog", json.dumps(letter))
    client.lpush("mutt:dlq:alerter", json.dumps({**letter, "payload": syslog.event("CRITICAL: replayed")}))
    wait_until(lambda: appliance.audited() == 1, "the alerter's letter to be replayed", seconds=10)
    assert client.llen("mutt:dlq:moog") == 1
    appliance.behave()
    wait_until(lambda: client.llen("mutt:dlq:moog") == 0, "the replay", seconds=10)
    # No alert, whatever it says: the forwarder buries it, remediation gives it up.
    wait_until(lambda: client.llen("mutt:poison:permanent") == 1, "the poison", seconds=30)


def test_the_key_is_sent_as_configured(appliance: Appliance) -> None:
    send_alerts(appliance, 1)
    wait_until(appliance.received, "the alert")
    seen = requests.get(f"{appliance.sink_url}/received?headers=1", timeout=10).text
    assert f"Bearer {MOOG_KEY}" in seen


def test_a_bad_event_that_postgres_refuses_ends_alone_as_a_dead_letter(appliance: Appliance) -> None:
    appliance.query(
        "ALTER TABLE event_audit_log ADD CONSTRAINT no_poison CHECK (message NOT LIKE '%%poisonous%%') NOT VALID"
    )
    try:
        events = [syslog.event(f"CRITICAL: fine {n}") for n in range(50)] + [syslog.event("CRITICAL: poisonous")]
        appliance.post(events)
        client = appliance.redis()
        wait_until(lambda: appliance.audited() == 50, "the others")
        (record,) = wait_until(lambda: client.lrange("mutt:dlq:alerter", 0, -1), "the dead letter", seconds=30)
        letter = json.loads(record)
        assert letter["reason"] == "cannot_be_stored"
        assert "no_poison" in letter["error"]
        assert letter["payload"]["message"] == "CRITICAL: poisonous"
    finally:
        appliance.query("ALTER TABLE event_audit_log DROP CONSTRAINT no_poison")
    wait_until(lambda: appliance.audited() == 51, "the replay after the fault is mended", seconds=20)
    wait_until(lambda: len(appliance.received()) == 51, "its alert", seconds=10)


def test_the_dashboard_asks_for_the_key_and_shows_events_as_text(appliance: Appliance) -> None:
    appliance.post(syslog.event("<script>alert(1)</script> CRITICAL"))
    appliance.wait_until_idle()
    session = requests.Session()
    login = session.get(appliance.admin_url + "/", timeout=10)
    assert (login.status_code, 'name="api_key"' in login.text) == (401, True)
    wrong = session.post(appliance.admin_url + "/login", data={"api_key": "wrong"}, timeout=10)
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    page = session.post(appliance.admin_url + "/login", data={"api_key": WEBUI_KEY}, timeout=10)
    assert page.status_code == 200
    assert "&lt;script&gt;" in page.text
    assert "<script>alert" not in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    linked = requests.get(f"{appliance.admin_url}/?api_key={WEBUI_KEY}", allow_redirects=False, timeout=10)
    assert (linked.status_code, linked.headers["Location"]) == (303, "/")
    assert requests.get(f"{appliance.admin_url}/static/mutt.css", timeout=10).status_code == 200


def test_the_metrics_api(appliance: Appliance) -> None:
    url = appliance.admin_url + "/api/v2/metrics"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, headers={"Cookie": f"mutt_session={uuid.uuid4()}"}, timeout=10).status_code == 401
    appliance.post([syslog.event(f"counted {n}") for n in range(60)])

    def figures() -> dict[str, dict[str, float]]:
        return dict(requests.get(url, headers={"X-API-KEY": WEBUI_KEY}, timeout=10).json())

    shown = wait_until(lambda: (f := figures())["counters"]["ingest_total"] >= 60 and f, "the figures", seconds=15)
    assert 0.5 < shown["summary"]["eps_1m"] <= 1.1  # The minute may have turned in between.
    assert shown["circuit_breaker"]["moog_state"] == "CLOSED"


def set_config(appliance: Appliance, **values: str | int) -> None:
    """Changes dynamic settings as the API does; an empty value resets one."""
    client = appliance.redis()
    for name, value in values.items():
        client.set(f"mutt:config:{name}", value) if value != "" else client.delete(f"mutt:config:{name}")
        client.publish("mutt:config:updates", name)


def test_under_pressure_events_are_parked_and_come_back_by_themselves(appliance: Appliance) -> None:
    client = appliance.redis()
    set_config(appliance, alerter_queue_shed_threshold=20, alerter_queue_warn_threshold=10, alerter_defer_sleep_ms=20)
    shed = 'mutt_alerter_shed_events_total{mode="dlq"}'
    before = appliance.metric("METRICS_PORT_ALERTER", shed)
    appliance.behave(status=503)  # nobody takes alerts away
    try:
        sent: set[str] = set()

        def press() -> bool:
            sent.update(send_alerts(appliance, 30))
            return bool(client.llen("mutt:dlq:alerter"))

        wait_until(press, "events to be parked", seconds=20)
        letter = json.loads(client.lindex("mutt:dlq:alerter", 0))
        assert (letter["reason"], letter.get("replays", 0)) == ("shed", 0)
        assert appliance.metric("METRICS_PORT_ALERTER", shed) > before
        appliance.behave()
        client.set("mutt:circuit:moog:opened_at", "1")
        wait_until(lambda: set(external_ids(appliance)) == sent, "every alert", seconds=30)
        assert client.llen("mutt:poison:permanent") == 0
        assert appliance.audited() == len(sent)
    finally:
        set_config(
            appliance, alerter_queue_shed_threshold="", alerter_queue_warn_threshold="", alerter_defer_sleep_ms=""
        )


def test_in_mode_defer_events_wait_where_they_are(appliance: Appliance) -> None:
    client = appliance.redis()
    set_config(appliance, alerter_queue_shed_threshold=5, alerter_shed_mode="defer", alerter_defer_sleep_ms=20)
    appliance.behave(status=503)
    try:
        sent = send_alerts(appliance, 40)
        wait_until(lambda: client.llen("mutt:alert_queue") + client.zcard("mutt:retry:moog") >= 5, "pressure")
        deferred = 'mutt_alerter_shed_events_total{mode="defer"}'
        before = appliance.metric("METRICS_PORT_ALERTER", deferred)

        def press() -> bool:
            sent.update(send_alerts(appliance, 5))
            return appliance.metric("METRICS_PORT_ALERTER", deferred) > before

        wait_until(press, "the alerter to wait", seconds=20)
        assert client.llen("mutt:dlq:alerter") == 0
        appliance.behave()
        client.set("mutt:circuit:moog:opened_at", "1")
        wait_until(lambda: set(external_ids(appliance)) == sent, "every alert", seconds=30)
    finally:
        set_config(appliance, alerter_queue_shed_threshold="", alerter_shed_mode="", alerter_defer_sleep_ms="")
