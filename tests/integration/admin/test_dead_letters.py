"""Dead letters through the API: looked into, edited, replayed and discarded, beside others who do the same."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import msgspec
import pytest
import redis
from prometheus_client import CollectorRegistry

from mutt.errors import Reason
from mutt.events import dead_letter, event
from mutt.events.dead_letter import DeadLetter
from mutt.observability.metrics import RemediationMetrics
from mutt.queues import letters
from mutt.queues.letters import Discard, LetterBox, Moved, letter_id
from mutt.queues.reliable import QueueNames, ReliableQueue
from mutt.queues.retry import promote
from mutt.redisdb import keys
from mutt.settings import RemediationSettings
from mutt.workers.lifecycle import Pace
from mutt.workers.remediation import RemediationWorker, Source
from mutt.workers.wiring import dead_letter_names
from tests.support.queues import ALERTER, ALERTS, numbered, oldest_first, put
from tests.support.waiting import wait_until
from tests.support.web_ui import OPERATOR, VIEWER, WebUIUnderTest

LIST = {"ingest": keys.DLQ_INGEST, "alerter": ALERTER.dead_letters, "moog": "mutt:dlq:moog", "poison": keys.POISON}
FAILED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def client(web_ui: WebUIUnderTest) -> redis.Redis:
    return web_ui.redis()


def a_letter(number: int = 0, service: str = "alerter", **fields: Any) -> bytes:
    payload = {
        "event_id": str(number), "hostname": f"router-{number}", "message": f"message {number}", "retry_count": 3,
        "correlation_id": f"id-{number}",
    }  # fmt: skip
    values = {"reason": Reason.CANNOT_BE_STORED, "error": "PostgreSQL says no", "service": service,
              "failed_at": FAILED_AT, "payload": payload, "attempts": 3, **fields}  # fmt: skip
    return dead_letter.encode(DeadLetter(**values))


def fill(client: redis.Redis, name: str, records: Sequence[bytes]) -> list[str]:
    put(client, records, LIST[name])
    return [letter_id(record) for record in records]


def queued(client: redis.Redis, queue: str = ALERTER.queue) -> list[Any]:
    return [msgspec.json.decode(each) for each in oldest_first(client, queue)]


def audit_rows(web_ui: WebUIUnderTest) -> list[tuple[Any, ...]]:
    return web_ui.query(
        "SELECT changed_by, operation, record_id, old_values, new_values, reason, status FROM config_audit_log "
        "WHERE table_name = 'dead_letters' ORDER BY id"
    )


# --- looking -------------------------------------------------------------------------------------------------------


def test_lists_are_grouped_by_reason(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    later = FAILED_AT + timedelta(hours=1)
    fill(client, "alerter", [a_letter(1), a_letter(2, failed_at=later), a_letter(3, reason=Reason.SHED), b"bare"])
    fill(client, "poison", [a_letter(4)])
    answer = web_ui.call("GET", "/dlq", key=VIEWER).json
    assert answer["total"] == 5
    by_name = {each["name"]: each for each in answer["lists"]}
    assert list(by_name) == ["ingest", "alerter", "moog", "poison"]
    alerter = by_name["alerter"]
    assert (alerter["depth"], alerter["looked_at"]) == (4, 4)
    assert [(each["reason"], each["count"]) for each in alerter["groups"]] == [
        ("cannot_be_stored", 2), ("shed", 1), ("unreadable_message", 1),
    ]  # fmt: skip
    first = alerter["groups"][0]
    assert (first["oldest"], first["newest"]) == ("2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z")
    assert (first["sample_error"], first["sample_host"]) == ("PostgreSQL says no", "router-2")
    assert web_ui.call("GET", f"/dlq/alerter/{first['sample_id']}").json["hostname"] == "router-2"


def test_a_page_shows_the_newest_first_and_filters(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    odd = {"message": 'said "Grüße"', "hostname": "h"}
    fill(client, "alerter", [*(a_letter(n) for n in range(450)), a_letter(reason=Reason.SHED, payload=odd), b"bare"])
    page = web_ui.call("GET", "/dlq/alerter?page=2&limit=3", key=VIEWER).json
    assert (page["total"], page["page"], page["limit"], page["looked_at"]) == (452, 2, 3, 452)
    assert [each["hostname"] for each in page["letters"]] == ["router-448", "router-447", "router-446"]
    assert page["letters"][0]["payload"] is None
    assert web_ui.call("GET", "/dlq/alerter?limit=3&payload=true").json["letters"][1]["payload"] == odd

    def found(query: str) -> list[str]:
        return [each["message"] for each in web_ui.call("GET", f"/dlq/alerter?{query}").json["letters"]]

    assert found("reason=shed") == ['said "Grüße"']
    assert found("q=%22GR%C3%9C") == ['said "Grüße"']
    assert found("q=router-449") == ["message 449"]
    assert found("reason=unreadable_message") == ["bare"]
    assert found("reason=nothing") == []


def test_when_remediation_is_due(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    cases = {
        "first": (a_letter(1), FAILED_AT + timedelta(seconds=60)),
        "third": (a_letter(2, replays=2), FAILED_AT + timedelta(seconds=180)),
        "used up": (a_letter(3, replays=3), None),
        "parked": (a_letter(4, reason=Reason.SHED), None),
        "no object": (a_letter(5, payload="text"), None),
        "bare": (b"bare", None),
    }
    fill(client, "alerter", [record for record, _ in cases.values()])
    for name, (record, due) in cases.items():
        found = web_ui.call("GET", f"/dlq/alerter/{letter_id(record)}").json["due_at"]
        assert found == (None if due is None else due.isoformat().replace("+00:00", "Z")), name
    [in_poison] = fill(client, "poison", [a_letter(1)])
    assert web_ui.call("GET", f"/dlq/poison/{in_poison}").json["due_at"] is None


def test_a_letter_that_is_not_there(web_ui: WebUIUnderTest) -> None:
    missing = web_ui.call("GET", f"/dlq/alerter/{'0' * 40}")
    assert missing.status_code == 404
    assert web_ui.call("GET", "/dlq/nonsense").json["field"] == "name"


def test_a_viewer_changes_nothing(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    [own_id] = fill(client, "alerter", [a_letter()])
    for method, path, body in (
        ("PUT", f"/dlq/alerter/{own_id}", {"payload": {}}),
        ("POST", "/dlq/alerter/replay", {"all": True}),
        ("POST", "/dlq/alerter/discard", {"all": True, "reason": "r"}),
    ):
        assert web_ui.call(method, path, body, key=VIEWER).status_code == 403
    assert oldest_first(client, LIST["alerter"]) == [a_letter()]
    assert audit_rows(web_ui) == []


# --- replay --------------------------------------------------------------------------------------------------------


def test_replaying_some_by_id(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    ids = fill(client, "alerter", [a_letter(n) for n in range(5)])
    body = {"ids": [ids[3], ids[1], "0" * 40], "reason": "the disk has room again"}
    answer = web_ui.call("POST", "/dlq/alerter/replay", body, key=OPERATOR).json
    assert answer["done"] == 2
    assert list(answer["skipped"].values()) == [1]
    assert [(each["hostname"], each["retry_count"], each["replay_count"]) for each in queued(client)] == [
        ("router-1", 0, 1), ("router-3", 0, 1),
    ]  # fmt: skip
    assert oldest_first(client, LIST["alerter"]) == [a_letter(0), a_letter(2), a_letter(4)]
    [(who, operation, record_id, old, new, reason, status)] = audit_rows(web_ui)
    assert (who, operation, record_id, reason, status) == (
        "night-shift", "UPDATE", "alerter", "the disk has room again", "applied",
    )  # fmt: skip
    assert (old["count"], sorted(old["ids"])) == (2, sorted([ids[1], ids[3]]))
    assert new["action"] == "replay"


def test_each_list_goes_back_to_its_queue(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    hopeless = a_letter(9, payload="text")
    fill(client, "moog", [a_letter(1, "moog", replays=1)])
    own = msgspec.json.decode(a_letter(5, "moog"))
    fill(client, "poison", [a_letter(2, replays=3), a_letter(3, "moog"), a_letter(4, "unheard-of"), hopeless,
                            a_letter(payload=own, service="remediation-moog")])  # fmt: skip
    assert web_ui.call("POST", "/dlq/moog/replay", {"all": True}).json["done"] == 1
    assert [(each["hostname"], each["replay_count"]) for each in queued(client, ALERTS)] == [("router-1", 2)]
    answer = web_ui.call("POST", "/dlq/poison/replay", {"all": True}).json
    assert answer["done"] == 3
    assert sorted(answer["skipped"]) == [
        "nobody knows where letters of 'unheard-of' belong", "the message is not a JSON object; edit it first",
    ]  # fmt: skip
    assert [(each["hostname"], each["replay_count"]) for each in queued(client)] == [("router-2", 4)]
    assert [each["hostname"] for each in queued(client, ALERTS)] == ["router-1", "router-3", "router-5"]
    assert oldest_first(client, keys.POISON) == [a_letter(4, "unheard-of"), hopeless]


def test_a_parked_event_goes_back_as_it_was(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    fill(client, "alerter", [dead_letter.bury(b"not json at all", Reason.SHED, "parked", "alerter", FAILED_AT)])
    assert web_ui.call("POST", "/dlq/alerter/replay", {"with_reason": "shed"}).json["done"] == 1
    assert oldest_first(client) == [b"not json at all"]


def test_a_refused_event_is_admitted_or_stays(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    def refused(payload: Any) -> bytes:
        return a_letter(service="ingestor", reason=Reason.MISSING_FIELD, error="hostname is required", payload=payload)

    whole = {"timestamp": "2026-03-01T12:00:00Z", "hostname": "h", "message": "m", "extra": 1}
    fill(client, "ingest", [refused({"message": "m"}), refused("half a json"), refused(whole)])
    answer = web_ui.call("POST", "/dlq/ingest/replay", {"all": True}).json
    assert answer["done"] == 1
    assert answer["skipped"] == {"timestamp is required": 1, "an event must be a JSON object, not a string": 1}
    admitted = event.decode(oldest_first(client)[0])
    assert (admitted.hostname, admitted.message, bytes(admitted.attributes)) == ("h", "m", b'{"extra":1}')
    assert client.llen(keys.DLQ_INGEST) == 2


def test_with_a_rate_letters_wait_in_the_retry_set(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    fill(client, "alerter", [a_letter(n) for n in range(4)])
    answer = web_ui.call("POST", "/dlq/alerter/replay", {"all": True, "rate_per_second": 20}).json
    assert (answer["done"], answer["seconds"]) == (4, 0.15)
    assert client.llen(LIST["alerter"]) == 0
    waiting = client.zrange(ALERTER.retry, 0, -1, withscores=True)
    assert [msgspec.json.decode(record)["hostname"] for record, _ in waiting] == [f"router-{n}" for n in range(4)]
    assert [round(due - waiting[0][1]) for _, due in waiting] == [0, 50, 100, 150]
    wait_until(lambda: promote(client, ALERTER) and client.llen(ALERTER.queue) == 4, "all of them to be due")


def test_the_same_message_twice_is_never_lost_in_the_retry_set(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    fill(client, "moog", [a_letter(1, "moog", error="one"), a_letter(1, "moog", error="another")])
    answer = web_ui.call("POST", "/dlq/moog/replay", {"all": True, "rate_per_second": 1}).json
    assert (answer["done"], list(answer["skipped"].values())) == (1, [1])
    assert client.zcard(keys.retry("moog")) == client.llen(LIST["moog"]) == 1


def test_a_dry_run_counts_and_changes_nothing(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    records = [a_letter(1), a_letter(2, payload="text"), a_letter(3, reason=Reason.SHED)]
    fill(client, "alerter", records)
    body = {"all": True, "dry_run": True, "rate_per_second": 2}
    answer = web_ui.call("POST", "/dlq/alerter/replay", body).json
    assert (answer["done"], answer["dry_run"], answer["seconds"], sum(answer["skipped"].values())) == (2, True, 0.5, 1)
    body = {"with_reason": "shed", "dry_run": True, "reason": "r"}
    assert web_ui.call("POST", "/dlq/alerter/discard", body).json["done"] == 1
    assert oldest_first(client, LIST["alerter"]) == records
    assert client.keys("mutt:retry:*") == []
    assert audit_rows(web_ui) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": ["0" * 40], "all": True}, "all"),
        ({"with_reason": "shed", "all": True}, "all"),
        ({"ids": ["nonsense"]}, "ids[0]"),
        ({"all": True, "rate_per_second": 0}, "rate_per_second"),
    ],
)
def test_a_choice_that_says_too_little_or_too_much(web_ui: WebUIUnderTest, body: dict[str, Any], field: str) -> None:
    refused = web_ui.call("POST", "/dlq/alerter/replay", body)
    assert (refused.status_code, refused.json["field"]) == (400, field)


# --- discard and edit ----------------------------------------------------------------------------------------------


def test_discarding_needs_a_reason_and_keeps_the_letters_in_the_audit(
    web_ui: WebUIUnderTest, client: redis.Redis
) -> None:
    fill(client, "poison", [a_letter(n) for n in range(150)] + [a_letter(reason=Reason.SHED)])
    for reason in ({}, {"reason": "  "}):
        refused = web_ui.call("POST", "/dlq/poison/discard", {"all": True, **reason})
        assert (refused.status_code, refused.json["field"]) == (400, "reason")
    body = {"with_reason": "cannot_be_stored", "reason": "a lab device"}
    assert web_ui.call("POST", "/dlq/poison/discard", body).json["done"] == 150
    assert oldest_first(client, keys.POISON) == [a_letter(reason=Reason.SHED)]
    [(_, operation, record_id, old, new, reason, status)] = audit_rows(web_ui)
    assert (operation, record_id, reason, status) == ("DELETE", "poison", "a lab device", "applied")
    assert (old["count"], len(old["letters"]), new["with_reason"]) == (150, 100, "cannot_be_stored")
    assert old["letters"][0] == msgspec.json.decode(a_letter(0))


def test_an_edited_letter_stays_in_its_place(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    ids = fill(client, "ingest", [a_letter(n, "ingestor", payload={"message": "m"}) for n in range(1)]
               + [a_letter(n, "ingestor") for n in range(2)])  # fmt: skip
    half = web_ui.call("PUT", f"/dlq/ingest/{ids[0]}", {"payload": {"message": "m", "hostname": "h"}}).json
    assert "timestamp is required" in half["message"]
    payload = {"message": "m", "hostname": "h", "timestamp": "2026-03-01T12:00:00Z"}
    answer = web_ui.call("PUT", f"/dlq/ingest/{half['id']}", {"payload": payload, "reason": "typing"}).json
    assert "can be replayed" in answer["message"]
    found = web_ui.call("GET", f"/dlq/ingest/{answer['id']}").json
    assert (found["payload"], found["reason"], found["error"]) == (payload, "cannot_be_stored", "PostgreSQL says no")
    assert letter_id(oldest_first(client, keys.DLQ_INGEST)[0]) == answer["id"]
    assert web_ui.call("POST", "/dlq/ingest/replay", {"ids": [answer["id"]]}).json["done"] == 1
    first = audit_rows(web_ui)[1]
    assert (first[1], first[2], first[5], first[6]) == ("UPDATE", half["id"], "typing", "applied")
    assert first[3]["letter"]["payload"] == {"message": "m", "hostname": "h"}
    assert first[4]["payload"] == payload


def test_an_edit_of_nothing_or_to_nothing(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    [own_id] = fill(client, "alerter", [a_letter()])
    assert web_ui.call("PUT", f"/dlq/alerter/{'0' * 40}", {"payload": {}}).status_code == 404
    refused = web_ui.call("PUT", f"/dlq/alerter/{own_id}", {"payload": ["no", "object"]})
    assert (refused.status_code, refused.json["field"]) == (400, "payload")


# --- beside others, at maxmemory, and many --------------------------------------------------------------------------


def remediation(client: redis.Redis) -> RemediationWorker:
    """Remediation without the wait between its scans: every letter is due."""

    def source(name: str, dead_letters: str, target: str) -> Source:
        names: QueueNames = dead_letter_names(name, dead_letters)
        return Source(name, ReliableQueue(client, names, "host-1", 30.0), target)

    metrics = RemediationMetrics(CollectorRegistry())
    return RemediationWorker(
        source("alerter", LIST["alerter"], ALERTER.queue), source("moog", LIST["moog"], ALERTS), lambda: True,
        lambda: 1000, Pace(gevent.event.Event(), metrics), metrics,
        RemediationSettings(max_retries=3, backoff_base_seconds=60),
    )  # fmt: skip


@pytest.mark.parametrize("rate", [None, 10_000])
def test_operators_beside_remediation_lose_nothing_and_double_nothing(
    web_ui: WebUIUnderTest, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    """Half of the letters is due for remediation, the other half goes round in its hands; two operators replay all."""
    monkeypatch.setattr(letters, "CHUNK", 7)
    young = datetime.now(UTC) + timedelta(hours=1)
    fill(client, "alerter", [a_letter(n, failed_at=young if n % 2 else FAILED_AT) for n in range(1200)])
    worker, done = remediation(web_ui.redis_server.mutt_client()), Counter[str]()

    def operate() -> None:
        while client.llen(LIST["alerter"]) or client.keys("mutt:processing:*"):
            body = {"all": True, "rate_per_second": rate} if rate else {"all": True}
            done["operators"] += web_ui.call("POST", "/dlq/alerter/replay", body).json["done"]

    def remediate() -> None:
        for _ in range(5):
            worker.look()
            gevent.sleep(0)

    gevent.joinall(
        [gevent.spawn(operate), gevent.spawn(operate), gevent.spawn(remediate)], timeout=60, raise_error=True
    )
    messages = queued(client) + [msgspec.json.decode(each) for each in client.zrange(ALERTER.retry, 0, -1)]
    assert Counter(each["hostname"] for each in messages) == Counter(f"router-{n}" for n in range(1200))
    assert all(each["replay_count"] == 1 for each in messages)
    assert 0 < done["operators"] < 1200
    assert client.llen(LIST["alerter"]) == client.llen(keys.POISON) == 0


def test_all_means_those_that_were_there_at_the_start(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    fill(client, "alerter", [a_letter(n) for n in range(500)])
    box, met = LetterBox(client, LIST["alerter"]), []
    wanted = Counter(letter_id(record) for record in box.oldest_first())

    def decide(record: bytes) -> Discard:
        met.append(record)
        put(client, [a_letter(1000 + len(met))], LIST["alerter"])
        return Discard()

    assert box.take_out(wanted, decide) == Counter({Moved.DONE: 500})
    assert len(met) == 500
    assert all(b"router-1" in each for each in oldest_first(client, LIST["alerter"]))


def test_what_others_have_taken_counts_as_gone(client: redis.Redis) -> None:
    fill(client, "alerter", [a_letter(n) for n in range(300)])
    box = LetterBox(client, LIST["alerter"])
    wanted = Counter(letter_id(record) for record in box.oldest_first())

    taken = {25, 199, 299}

    def decide(record: bytes) -> Discard:
        for number in taken:
            client.lrem(LIST["alerter"], 0, a_letter(number))
        return Discard()

    assert box.take_out(wanted, decide) == Counter({Moved.DONE: 297, Moved.GONE: 3})
    assert client.llen(LIST["alerter"]) == 0


def test_letters_that_stay_do_not_hide_those_that_others_shift_past_them(client: redis.Redis) -> None:
    """The first 250 stay. While the next ones are decided, somebody takes most of the old ones away."""
    fill(client, "alerter", [a_letter(n) for n in range(700)])
    box = LetterBox(client, LIST["alerter"])
    wanted = Counter(letter_id(record) for record in list(box.oldest_first())[250:])
    others = iter([lambda: client.rpop(LIST["alerter"], 240)])

    def decide(record: bytes) -> Discard:
        if record == a_letter(450):
            next(others, lambda: None)()
        return Discard()

    assert box.take_out(wanted, decide) == Counter({Moved.DONE: 450})
    assert oldest_first(client, LIST["alerter"]) == [a_letter(n) for n in range(240, 250)]


def test_a_full_redis_can_be_emptied(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    ids = fill(client, "alerter", [a_letter(n) for n in range(40)])
    try:
        client.config_set("maxmemory", 1)
        answers = [
            web_ui.call("PUT", f"/dlq/alerter/{ids[0]}", {"payload": {"hostname": "edited"}}),
            web_ui.call("POST", "/dlq/alerter/replay", {"ids": ids[:10]}),
            web_ui.call("POST", "/dlq/alerter/replay", {"ids": ids[10:20], "rate_per_second": 5}),
            web_ui.call("POST", "/dlq/alerter/discard", {"ids": ids[20:], "reason": "full"}),
        ]
    finally:
        client.config_set("maxmemory", 0)
    assert [each.status_code for each in answers] == [200] * 4
    assert [each.json["done"] for each in answers[1:]] == [9, 10, 20]
    assert (client.llen(ALERTER.queue), client.zcard(ALERTER.retry), client.llen(LIST["alerter"])) == (9, 10, 1)


def test_twenty_thousand_letters_within_a_few_seconds(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    fill(client, "alerter", [a_letter(n, reason=(Reason.SHED, Reason.CANNOT_BE_STORED)[n % 2]) for n in range(20_000)])
    client.config_resetstat()
    client.config_set("slowlog-log-slower-than", 100_000)
    client.slowlog_reset()
    started = time.monotonic()
    assert web_ui.call("GET", "/dlq").json["lists"][1]["looked_at"] == 10_000
    assert web_ui.call("POST", "/dlq/alerter/replay", {"with_reason": "shed"}).json["done"] == 10_000
    assert web_ui.call("POST", "/dlq/alerter/discard", {"all": True, "reason": "r"}).json["done"] == 10_000
    assert time.monotonic() - started < 15
    assert client.slowlog_len() == 0
    assert client.llen(ALERTER.queue) == 10_000


def test_equal_letters_are_moved_each(client: redis.Redis, web_ui: WebUIUnderTest) -> None:
    fill(client, "alerter", [a_letter(1)] * 3 + [b"m0"])
    answer = web_ui.call("POST", "/dlq/alerter/replay", {"ids": [letter_id(a_letter(1))]}).json
    assert answer["done"] == 3
    assert oldest_first(client, LIST["alerter"]) == numbered(1)
