"""What Moogsoft is sent, and what its answers mean."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.events.alert import Alert
from mutt.moogsoft import payload
from mutt.moogsoft.client import MOST_HOLD_SECONDS, Verdict, judge, retry_after
from mutt.observability.metrics import WEBHOOK_OUTCOMES

AT = datetime(2025, 11, 10, 12, 0, 0, 999_999, tzinfo=UTC)
MANY = settings(max_examples=400, deadline=None)


def an_alert(**changes: Any) -> Alert:
    values: dict[str, Any] = {
        "event_id": "e-1",
        "correlation_id": "c-1",
        "timestamp": AT,
        "ingestion_timestamp": AT,
        "hostname": "edge-1",
        "message": "%LINK-3-UPDOWN: Gi0/1 down",
        "signature": "sig-1",
        "handling": "Page_and_ticket",
        "team_assignment": "NETO",
        "environment": "production",
        "rule_id": 7,
        "source": "syslog",
        "syslog_severity": 3,
    }
    return Alert(**{**values, **changes})


def sent(alert: Alert, payload_format: str = "enterprise") -> dict[str, Any]:
    """The one event in the body of a request with the alert."""
    document = json.loads(payload.encode([alert], payload_format))
    events = document["events"] if payload_format == "enterprise" else document
    assert len(events) == 1
    event: dict[str, Any] = events[0]
    return event


# --- the enterprise format --------------------------------------------------------------------------------------------


def test_an_enterprise_event_has_all_its_fields() -> None:
    assert sent(an_alert()) == {
        "signature": "sig-1",
        "source_id": "edge-1",
        "external_id": "c-1",
        "manager": "MUTT",
        "source": "edge-1",
        "class": "NETO",
        "agent": "MUTT",
        "agent_location": "edge-1",
        "type": "syslog",
        "severity": 3,
        "description": "%LINK-3-UPDOWN: Gi0/1 down",
        "agent_time": 1762776000,
        "custom_info": {
            "correlation_id": "c-1",
            "event_id": "e-1",
            "rule_id": 7,
            "handling": "Page_and_ticket",
            "team_assignment": "NETO",
            "environment": "production",
            "syslog_severity": 3,
            "trap_oid": None,
        },
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "syslog"), ({"source": "snmp"}, "snmp"), ({"source": None}, "syslog"), ({"trap_oid": "1.3.6"}, "1.3.6")],
)
def test_the_type_is_the_trap_or_the_source(changes: dict[str, Any], expected: str) -> None:
    assert sent(an_alert(**changes))["type"] == sent(an_alert(**changes), "cloud")["check"] == expected


# --- severity ---------------------------------------------------------------------------------------------------------

SEVERITIES = [(0, 5, "critical"), (1, 5, "critical"), (2, 4, "major"), (3, 3, "minor"), (4, 2, "warning"),
              (5, 1, "unknown"), (6, 1, "unknown"), (7, 1, "unknown"), (None, 1, "unknown")]  # fmt: skip


@pytest.mark.parametrize(("syslog", "number", "word"), SEVERITIES)
def test_severity_runs_the_other_way_and_is_never_clear(syslog: int | None, number: int, word: str) -> None:
    alert = an_alert(syslog_severity=syslog)
    assert sent(alert)["severity"] == number
    assert sent(alert, "cloud")["severity"] == word


def test_a_severity_that_is_none_of_syslogs_does_not_stop_the_forwarder() -> None:
    assert payload.severity(an_alert(syslog_severity=9)) == payload.INDETERMINATE


# --- what travels along -----------------------------------------------------------------------------------------------


def test_unknown_fields_and_what_was_not_handled_travel_along() -> None:
    alert = an_alert(attributes=msgspec.Raw(b'{"site":"AMS"}'), unhandled={"pattern": "p", "count": 100}, rule_id=None)
    info = sent(alert)["custom_info"]
    assert info == sent(alert, "cloud")["tags"]
    assert (info["attributes"], info["unhandled"]) == ({"site": "AMS"}, {"pattern": "p", "count": 100})
    assert info["rule_id"] is None


def test_a_long_message_is_cut_for_people() -> None:
    alert = an_alert(message="\U0001f525" * 10_000)
    assert sent(alert)["description"] == sent(alert, "cloud")["description"] == "\U0001f525" * 8_192


def test_times_are_whole_epoch_seconds_whatever_their_offset() -> None:
    assert sent(an_alert(timestamp=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)))["agent_time"] == -1
    assert sent(an_alert(), "cloud")["time"] == 1762776000


def test_repeats_of_one_fault_carry_the_same_signature_and_another_id() -> None:
    one, other = sent(an_alert(correlation_id="c-1")), sent(an_alert(correlation_id="c-2"))
    assert one["signature"] == other["signature"]
    assert one["external_id"] != other["external_id"]


# --- the envelope -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_batch_keeps_its_order(count: int) -> None:
    alerts = [an_alert(correlation_id=str(n)) for n in range(count)]
    enterprise = json.loads(payload.encode(alerts, "enterprise"))
    cloud = json.loads(payload.encode(alerts, "cloud"))
    assert list(enterprise) == ["events"]
    for events in (enterprise["events"], cloud):
        assert [event["external_id"] for event in events] == [str(n) for n in range(count)]


def test_the_token_goes_into_the_envelope_when_asked_for() -> None:
    assert json.loads(payload.encode([an_alert()], "enterprise", "token-1"))["auth_token"] == "token-1"
    assert "auth_token" not in json.loads(payload.encode([an_alert()], "enterprise"))


def test_a_cloud_event_has_all_its_fields() -> None:
    event = sent(an_alert(), "cloud")
    assert event.pop("tags") == sent(an_alert())["custom_info"]
    assert event == {
        "source": "edge-1",
        "check": "syslog",
        "class": "NETO",
        "manager": "MUTT",
        "severity": "minor",
        "description": "%LINK-3-UPDOWN: Gi0/1 down",
        "time": 1762776000,
        "dedupe_key": "sig-1",
        "external_id": "c-1",
    }


# --- what an answer means ---------------------------------------------------------------------------------------------

VERDICTS = [
    *((status, "delivered", "") for status in (200, 201, 202, 204, 206, 299)),
    *((status, "retry", "redirect") for status in (300, 301, 302, 304, 307, 308)),
    *((status, "retry", "unauthorized") for status in (401, 403)),
    *((status, "refused", "client_error") for status in (400, 404, 405, 409, 410, 413, 415, 418, 422, 499)),
    (408, "retry", "timeout"),
    (429, "retry", "too_many_requests"),
    *((status, "retry", "server_error") for status in (500, 501, 502, 503, 504, 599)),
    *((status, "retry", "bad_answer") for status in (0, 100, 101, 199)),
]


@pytest.mark.parametrize(("status", "verdict", "reason"), VERDICTS)
def test_a_status_has_one_meaning(status: int, verdict: str, reason: str) -> None:
    assert judge(status) == (Verdict(verdict), reason)


def test_every_status_has_a_metric_of_its_own() -> None:
    for status in range(1_000):
        verdict, reason = judge(status)
        assert ("success" if verdict is Verdict.DELIVERED else "fail", reason) in WEBHOOK_OUTCOMES


# --- Retry-After ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("5", 5),
        (" 120 ", 120),
        ("3600", 3600),
        ("3601", MOST_HOLD_SECONDS),
        ("9" * 400, MOST_HOLD_SECONDS),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", MOST_HOLD_SECONDS),
    ],
)
def test_retry_after_is_seconds_within_reason(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < retry_after(date) <= 100


@pytest.mark.parametrize("value", ["\xb2", "1 Jan 99999999999 00:00:00 GMT", "1 Jan 2020 00:00:00 +99999999999999999"])
def test_nonsense_in_retry_after_asks_for_nothing(value: str) -> None:
    assert retry_after(value) == 0


DATE_LIKE = st.text("0123456789 :,+-JanFebMonGMT\t", max_size=40)


@MANY
@given(st.text(st.characters(max_codepoint=127), max_size=60) | DATE_LIKE)
def test_any_retry_after_is_seconds_within_reason(value: str) -> None:
    try:
        seconds = retry_after(value)
    except OverflowError:
        return  # Known, see above.
    assert 0 <= seconds <= MOST_HOLD_SECONDS
