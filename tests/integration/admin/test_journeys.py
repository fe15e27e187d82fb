"""The journey of one event over HTTP: from what the workers have written, and where they write it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from mutt.admin.services import sightings
from mutt.errors import Reason
from mutt.events import alert, dead_letter, event
from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.redisdb import keys
from mutt.rules.rule import Handling
from tests.support.audit_rows import BEGIN, an_event, attempt, audit
from tests.support.redis_server import PrivateRedis
from tests.support.web_ui import VIEWER, WebUIUnderTest

INGEST, ALERTS, MOOG_LETTERS, ALERTER_LETTERS = (
    "mutt:ingest_queue", "mutt:alert_queue", "mutt:dlq:moog", "mutt:dlq:alerter",
)  # fmt: skip


def journeys(web_ui: WebUIUnderTest, correlation_id: str) -> list[dict[str, Any]]:
    answer = web_ui.call("GET", f"/events/{correlation_id}", key=VIEWER)
    assert answer.status_code == 200, answer.text
    assert answer.json["correlation_id"] == correlation_id.lower()
    return answer.json["journeys"]


def journey(web_ui: WebUIUnderTest, item: Event) -> dict[str, Any]:
    (found,) = journeys(web_ui, item.correlation_id)
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [hop["name"] for hop in found["hops"]]


def its_alert(item: Event, **fields: Any) -> bytes:
    made = alert.from_event(item, "signature", Handling.PAGE_AND_TICKET, "NETO", "production", 1)
    return alert.encode(msgspec.structs.replace(made, **fields))


def a_rule(web_ui: WebUIUnderTest) -> int:
    ((rule_id,),) = web_ui.query(
        "INSERT INTO alert_rules (match_string, match_type, priority, prod_handling, dev_handling, team_assignment, "
        "updated_at) VALUES ('Interface', 'contains', 800, 'Page_and_ticket', 'Log_only', 'NETO', %s) RETURNING id",
        BEGIN - timedelta(days=1),
    )
    return int(rule_id)


def paged(web_ui: WebUIUnderTest, **fields: Any) -> Event:
    """An event whose alert was queued."""
    item = an_event(**fields)
    audit(web_ui, item, a_rule(web_ui), "NETO", Handling.PAGE_AND_TICKET)
    return item


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_delivered_event(web_ui: WebUIUnderTest, version: str) -> None:
    item = paged(web_ui)
    attempt(web_ui, item, 1, "delivered", 5, 200)
    answer = web_ui.call("GET", f"/api/{version}/events/{item.correlation_id.upper()}", key=VIEWER)
    (found,) = answer.json["journeys"]
    assert [(hop["name"], hop["at"], hop["seconds_since_previous"]) for hop in found["hops"]] == [
        ("received", "2026-01-15T12:00:01Z", None),
        ("decided", "2026-01-15T12:00:02Z", 1.0),
        ("queued", "2026-01-15T12:00:02Z", 0.0),
        ("delivered", "2026-01-15T12:00:05Z", 3.0),
    ]
    assert [hop["sentence"] for hop in found["hops"]] == [
        "Ingest accepted it from router1.",
        "Rule 1 decided Page_and_ticket for team NETO: the message contains 'Interface' (priority 800).",
        "Its alert was queued for Moogsoft.",
        "Attempt 1: Moogsoft took it (HTTP 200, 12 ms).",
    ]
    assert found["state"] == "settled"
    assert found["sentence"] == (
        "Moogsoft took it for team NETO at 2026-01-15 12:00:05 UTC, 4.0 s after it was received."
    )
    assert found["deliveries"] == [
        {
            "attempt": 1, "attempted_at": "2026-01-15T12:00:05Z", "outcome": "delivered", "status_code": 200,
            "reason": None, "latency_ms": 12.5,
        }
    ]  # fmt: skip
    assert (found["event"]["message"], found["rule"]["match_string"]) == (item.message, "Interface")


def test_an_event_that_was_tried_again(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    attempt(web_ui, item, 1, "retry", 5, None, "timeout", 10000)
    for _ in range(2):  # A row that was written twice after a lost answer.
        attempt(web_ui, item, 1, "retry", 20, 503, "server_error")
    attempt(web_ui, item, 2, "retry", 21, None, None, 0)
    attempt(web_ui, item, 2, "delivered", 22, 202)
    found = journey(web_ui, item)
    assert [hop["sentence"] for hop in found["hops"]][3:] == [
        "Attempt 1: no answer came in time (10000 ms); to be tried again.",
        "Attempt 1: Moogsoft failed (HTTP 503, 12 ms); to be tried again.",
        "Attempt 2 was put off before anything was sent.",
        "Attempt 2: Moogsoft took it (HTTP 202, 12 ms).",
    ]
    assert [hop["seconds_since_previous"] for hop in found["hops"]][3:] == [3.0, 15.0, 1.0, 1.0]
    assert found["state"] == "settled"


def test_an_event_that_waits_for_its_next_try(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    attempt(web_ui, item, 1, "retry", 5, 503, "server_error")
    due = BEGIN + timedelta(seconds=9)
    web_ui.redis().zadd(keys.retry("moog"), {its_alert(item, retry_count=1): due.timestamp() * 1000})
    found = journey(web_ui, item)
    assert names(found) == ["received", "decided", "queued", "attempt", "retrying"]
    assert found["hops"][-1]["at"] == "2026-01-15T12:00:09Z"
    assert found["sentence"] == "Its delivery failed 1 time; the next try is due at 2026-01-15 12:00:09 UTC."
    assert found["state"] == "retrying"


def bury(item: Event, reason: Reason, failed_at: datetime, message: bytes | None = None, replays: int = 0) -> bytes:
    sentence = "the webhook answered 400"
    return dead_letter.bury(message or its_alert(item), reason, sentence, "moog", failed_at, 1, replays)


def test_a_dead_letter(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    attempt(web_ui, item, 1, "dead_letter", 5, 400, "client_error")
    web_ui.redis().lpush(MOOG_LETTERS, bury(item, Reason.REFUSED_BY_RECEIVER, BEGIN + timedelta(seconds=6)))
    found = journey(web_ui, item)
    assert names(found) == ["received", "decided", "queued", "attempt", "dead_lettered"]
    assert found["hops"][3]["sentence"] == "Attempt 1: Moogsoft refused the alert itself (HTTP 400, 12 ms); given up."
    assert found["hops"][4]["seconds_since_previous"] == 1.0
    assert found["state"] == "dead_letter"
    assert found["sentence"] == (
        "Dead letter (refused_by_receiver): the webhook answered 400. It lies in the dead letters of the forwarder."
    )


def test_poison_and_a_letter_that_is_gone(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    attempt(web_ui, item, 1, "dead_letter", 5, 400, "client_error")
    gone = journey(web_ui, item)
    assert (gone["state"], names(gone)[-1]) == ("dead_letter", "attempt")
    assert "it is being replayed, or it was discarded" in gone["sentence"]
    web_ui.redis().lpush(keys.POISON, bury(item, Reason.REFUSED_BY_RECEIVER, BEGIN + timedelta(seconds=6), replays=3))
    poison = journey(web_ui, item)
    assert poison["state"] == "dead_letter"
    assert "only a person brings it back" in poison["sentence"]
    assert "replayed 3 times" in poison["sentence"]


def test_an_alert_in_the_queue_and_one_in_hand(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    in_hand = journey(web_ui, item)
    assert (in_hand["state"], names(in_hand)[-1]) == ("unknown", "queued")
    assert "a forwarder has it in hand" in in_hand["sentence"]
    web_ui.redis().lpush(ALERTS, its_alert(item), b"not json " + item.correlation_id.encode())
    waiting = journey(web_ui, item)
    assert (waiting["state"], names(waiting)[-1]) == ("waiting", "waiting")
    assert waiting["sentence"] == "Its alert waits for a forwarder; 2 wait in the alert queue."
    web_ui.redis().set(keys.CIRCUIT_STATE, "OPEN")
    assert "circuit is open" in journey(web_ui, item)["sentence"]


def test_an_alert_deep_in_the_queue(web_ui: WebUIUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "END_OF_QUEUE", 2)
    item = paged(web_ui)
    web_ui.redis().rpush(ALERTS, b"{}", b"{}", b"{}", its_alert(item), b"{}", b"{}", b"{}")
    deep = journey(web_ui, item)
    assert (deep["state"], names(deep)[-1]) == ("waiting", "queued")
    assert deep["sentence"] == "Its alert is one of 3 in the middle of the alert queue, or in hand at a forwarder."


def test_an_event_that_is_still_queued(web_ui: WebUIUnderTest) -> None:
    item = an_event()
    web_ui.redis().lpush(INGEST, event.encode(item))
    found = journey(web_ui, item)
    assert (found["event"], names(found), found["state"]) == (None, ["received", "waiting"], "waiting")
    assert found["hops"][0]["at"] == "2026-01-15T12:00:01Z"
    assert found["hops"][0]["sentence"] == "It came from router1: Interface Gi0/1 down"
    assert found["sentence"] == "It waits for an alerter; 1 wait in the ingest queue."


def test_an_event_that_postgresql_refused(web_ui: WebUIUnderTest) -> None:
    item = an_event(retry_count=1)
    due = BEGIN + timedelta(seconds=9)
    web_ui.redis().zadd(keys.retry("alerter"), {event.encode(item): due.timestamp() * 1000})
    retrying = journey(web_ui, item)
    assert (names(retrying), retrying["state"]) == (["received", "retrying"], "retrying")
    assert retrying["hops"][1]["seconds_since_previous"] == 8.0
    web_ui.redis().flushall()
    web_ui.redis().lpush(ALERTER_LETTERS, bury(item, Reason.CANNOT_BE_STORED, BEGIN, event.encode(item)))
    dead = journey(web_ui, item)
    assert (names(dead), dead["state"]) == (["received", "dead_lettered"], "dead_letter")


def test_a_parked_event(web_ui: WebUIUnderTest) -> None:
    item = an_event()
    web_ui.redis().lpush(ALERTER_LETTERS, bury(item, Reason.SHED, BEGIN + timedelta(seconds=2), event.encode(item)))
    found = journey(web_ui, item)
    assert (names(found), found["state"]) == (["received", "parked"], "waiting")


def test_what_ingest_refused(web_ui: WebUIUnderTest) -> None:
    correlation_id = str(uuid.uuid4())
    raw = b'{"correlation_id": "' + correlation_id.upper().encode() + b'", "hostname": "r9"'
    for text in (raw + b"}", raw):
        letter = dead_letter.bury(text, Reason.MISSING_FIELD, "no message", "ingest", BEGIN)
        web_ui.redis().lpush(keys.DLQ_INGEST, letter)
    found = journeys(web_ui, correlation_id)
    assert [each["state"] for each in found] == ["dead_letter", "dead_letter"]
    assert {each["hops"][0]["sentence"] for each in found} == {"It came from r9: ", "It came from an unknown host: "}
    assert found[0]["sentence"] == "Dead letter (missing_field): no message. It lies in the dead letters of ingest."


@pytest.mark.parametrize("handling", [Handling.SUPPRESS, Handling.LOG_ONLY, Handling.EMAIL_ONLY])
def test_an_event_that_goes_nowhere(web_ui: WebUIUnderTest, handling: Handling) -> None:
    item = an_event(timestamp=BEGIN - timedelta(hours=3))
    audit(web_ui, item, 77, "NETO", handling)
    found = journey(web_ui, item)
    assert (names(found), found["state"]) == (["received", "decided"], "decided")
    assert found["sentence"] == f"Nothing is delivered for {handling}: the journey ended with the decision."
    assert "3 hours behind ours" in found["hops"][0]["sentence"]
    assert "The rule does not exist any more" in found["hops"][1]["sentence"]


def test_an_event_that_no_rule_matched(web_ui: WebUIUnderTest) -> None:
    item = an_event()
    audit(web_ui, item)
    found = journey(web_ui, item)
    assert found["hops"][1]["sentence"] == "No rule matched, so it was counted as unhandled: Log_only."
    assert (found["rule"], found["state"]) == (None, "decided")


def test_a_rule_that_was_changed_since(web_ui: WebUIUnderTest) -> None:
    item = paged(web_ui)
    web_ui.query("UPDATE alert_rules SET priority = 5")
    assert journey(web_ui, item)["hops"][1]["sentence"].endswith("The rule was changed since then.")


def test_several_events_of_one_correlation_id(web_ui: WebUIUnderTest) -> None:
    first = paged(web_ui)
    attempt(web_ui, first, 1, "delivered", 5, 200)
    second = an_event("other", correlation_id=first.correlation_id, ingestion_timestamp=BEGIN + timedelta(minutes=1))
    audit(web_ui, second)
    # The source sends the first once more: another event_id, still in the queue.
    again = an_event(correlation_id=first.correlation_id)
    web_ui.redis().lpush(INGEST, event.encode(again))
    found = journeys(web_ui, first.correlation_id)
    assert [each["state"] for each in found] == ["settled", "decided", "waiting"]
    # When the alerter has settled it, nothing is left of it: its alert went out the first time.
    web_ui.redis().flushall()
    assert [each["state"] for each in journeys(web_ui, first.correlation_id)] == ["settled", "decided"]


def test_a_meta_alert(web_ui: WebUIUnderTest) -> None:
    own_id = IdSource().take(int(BEGIN.timestamp() * 1000))
    item = an_event(event_id=own_id, correlation_id=own_id, hostname="mutt")
    web_ui.redis().lpush(ALERTS, its_alert(item, unhandled={"pattern": "p", "sample": "s", "count": 100}))
    waiting = journey(web_ui, item)
    assert (names(waiting), waiting["state"], waiting["event"]) == (["raised", "waiting"], "waiting", None)
    web_ui.redis().flushall()
    attempt(web_ui, item, 1, "delivered", 5, 200)
    settled = journey(web_ui, item)
    assert (names(settled), settled["state"]) == (["raised", "delivered"], "settled")
    assert settled["hops"][0]["at"] == "2026-01-15T12:00:00Z"
    assert settled["hops"][1]["seconds_since_previous"] == 5.0


def test_an_event_that_nobody_knows(web_ui: WebUIUnderTest) -> None:
    web_ui.redis().lpush(INGEST, *[b"{}"] * (2 * sightings.END_OF_QUEUE + 7))
    missing = web_ui.call("GET", f"/events/{uuid.uuid4()}")
    assert (missing.status_code, missing.json["field"]) == (404, "correlation_id")
    assert "7 messages of the ingest queue were not looked at" in missing.json["error"]
    assert web_ui.call("GET", "/events/nonsense").status_code == 400


@pytest.fixture
def ui_without_redis(web_ui: WebUIUnderTest) -> Any:
    """A web UI whose Redis has been killed; the other one prepares what lies in PostgreSQL."""
    server = PrivateRedis()
    server.start()
    alone = WebUIUnderTest(server, web_ui.postgres)
    server.kill()
    yield alone
    server.stop()


def test_redis_is_away(ui_without_redis: WebUIUnderTest) -> None:
    ui = ui_without_redis
    item = an_event()
    audit(ui, item, 1, "NETO", Handling.PAGE_AND_TICKET)
    answer = ui.call("GET", f"/events/{item.correlation_id}")
    assert answer.status_code == 200
    assert "Redis could not be asked" in answer.json["problem"]
    assert answer.json["journeys"][0]["state"] == "unknown"
    assert "Redis could not be asked" in answer.json["journeys"][0]["sentence"]
    attempt(ui, item, 1, "delivered", 5, 200)
    assert ui.call("GET", f"/events/{item.correlation_id}").json["journeys"][0]["state"] == "settled"
    unknown = ui.call("GET", f"/events/{uuid.uuid4()}")
    assert (unknown.status_code, unknown.json["reason"]) == (503, "redis_unreachable")
    assert "is not in the audit log" in unknown.json["error"]
