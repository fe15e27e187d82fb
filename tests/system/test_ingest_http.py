"""The ingest API over HTTP: what is taken, what is refused, and how that is said."""

import gzip
import json
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.support import syslog
from tests.support.appliance import INGEST_KEY, Appliance
from tests.support.waiting import wait_until

RELAY = "/api/v2/ingest/rsyslog"


@pytest.mark.parametrize("path", ["/api/v2/ingest", "/api/v1/ingest", "/ingest", "/webhook"])
def test_a_single_event_is_accepted_under_every_name(appliance: Appliance, path: str) -> None:
    event = syslog.event("hello")
    answer = appliance.post(event, path)
    assert (answer.status_code, answer.json()) == (
        202, {"status": "accepted", "correlation_id": event["correlation_id"]},
    )  # fmt: skip
    appliance.wait_until_idle()
    assert appliance.audited() == 1


def test_every_kind_of_body(appliance: Appliance) -> None:
    events = [syslog.event(f"kind {n}") for n in range(4)]
    kafkarest = {"records": [{"value": each} for each in events]}
    assert appliance.post(events).json() == {"status": "accepted", "accepted": 4, "rejected": []}
    assert appliance.post(syslog.as_newline(events), headers={"Content-Type": "text/plain"}).json()["accepted"] == 4
    assert appliance.post(kafkarest).json()["accepted"] == 4
    packed = gzip.compress(syslog.as_jsonarray(events))
    assert appliance.post(packed, headers={"Content-Encoding": "gzip"}).json()["accepted"] == 4
    chunked = requests.post(
        f"{appliance.ingest_url}/api/v2/ingest",
        data=iter([b"[", json.dumps(events[0]).encode(), b"]"]),
        headers={"X-API-KEY": INGEST_KEY},
        timeout=10,
    )
    assert chunked.json()["accepted"] == 1
    appliance.wait_until_idle()
    # Seventeen were accepted; the later ones repeat the first four, event for event.
    assert appliance.audited() == 4
    assert appliance.metric("METRICS_PORT_ALERTER", 'mutt_alerter_duplicates_total{kind="resubmission"}') >= 13


def test_bad_events_never_cost_the_good_ones(appliance: Appliance) -> None:
    bad: list[Any] = [7, None, [], "text", {}, {"timestamp": "yesterday", "message": "m", "hostname": "h"}]
    bad.append(syslog.event("x", syslog_severity=9))
    bad.append(syslog.event("x", correlation_id="not-a-uuid"))
    bad.append(syslog.event("x", trap_oid="1.3.x"))
    batch = [syslog.event("good"), *bad, syslog.event("good too")]
    answer = appliance.post(batch)
    body = answer.json()
    assert (answer.status_code, body["accepted"]) == (202, 2)
    assert [each["index"] for each in body["rejected"]] == list(range(1, len(bad) + 1))
    sentences = [each["error"] for each in body["rejected"]]
    for field in ("timestamp", "syslog_severity", "correlation_id", "trap_oid"):
        assert any(field in sentence for sentence in sentences)
    letters = [json.loads(each) for each in appliance.redis().lrange("mutt:dlq:ingest", 0, -1)]
    assert len(letters) == len(bad)
    assert {letter["reason"] for letter in letters} == {"not_an_object", "missing_field", "invalid_field"}
    appliance.wait_until_idle()
    assert appliance.audited() == 2


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not_json"),
        (b"\xff\xfe garbage", 400, "not_json"),
        (b'[{"message":', 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b'{"hostname":"h","message":"m"}', 400, "missing_field"),
        (b'{"hostname":"","message":"m","timestamp":"2026-01-01T00:00:00Z"}', 400, "invalid_field"),
        (b'{"hostname":"h","message":"m","timestamp":' + b"9" * 5000 + b"}", 400, "not_json"),
    ],
    ids=["empty", "garbage", "cut short", "deep", "no timestamp", "empty hostname", "huge number"],
)
def test_a_lone_bad_event_is_refused_with_a_sentence(
    appliance: Appliance, body: bytes, status: int, reason: str
) -> None:
    answer = appliance.post(body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert problem["reason"] == reason
    assert problem["error"] == problem["detail"]
    assert appliance.redis().llen("mutt:ingest_queue") == 0
    assert appliance.redis().llen("mutt:dlq:ingest") == 0


def test_wrong_keys_are_refused(appliance: Appliance) -> None:
    for key in ("", "wrong", "kl\u00fcssel", INGEST_KEY + "x"):
        answer = requests.post(
            f"{appliance.ingest_url}/api/v2/ingest",
            json=syslog.event("x"),
            headers={"X-API-KEY": key.encode().decode("latin-1")},
            timeout=10,
        )
        assert answer.status_code == 401
        assert "X-API-KEY" in answer.json()["error"]


def test_limits_of_size(appliance: Appliance) -> None:
    too_long = appliance.post(b" " * 4_000_001)
    assert (too_long.status_code, too_long.json()["reason"]) == (413, "body_too_large")
    bomb = appliance.post(gzip.compress(b" " * 9_000_000), headers={"Content-Encoding": "gzip"})
    assert (bomb.status_code, bomb.json()["reason"]) == (413, "unpacked_too_large")
    broken = appliance.post(b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (broken.status_code, broken.json()["reason"]) == (400, "bad_encoding")
    assert appliance.post(b"{}", headers={"Content-Encoding": "br"}).status_code == 415


def test_long_messages_are_cut_and_wrong_clocks_noted(appliance: Appliance) -> None:
    appliance.post([syslog.event("\u00e9" * 70_000), syslog.event("old", timestamp="1993-03-01T00:00:00Z")])
    appliance.wait_until_idle()
    rows = appliance.query("SELECT octet_length(message), attributes, event_timestamp FROM event_audit_log ORDER BY 1")
    old, long = rows
    assert old[1] == {"original_timestamp": "1993-03-01T00:00:00Z"}
    assert abs((datetime.now(UTC) - old[2]).total_seconds()) < 60
    assert long[:2] == (65536, {"truncated": True})


def test_a_relay_gets_only_two_answers(appliance: Appliance) -> None:
    for body in (b"", b"garbage", b"[1,2", b"5", b'{"message":1}'):
        answer = appliance.post(body, RELAY)
        assert (answer.status_code, answer.json()["accepted"], len(answer.json()["rejected"])) == (202, 0, 1)
    too_long = appliance.post(b"x" * 4_000_001, RELAY)
    assert too_long.status_code == 202
    assert appliance.post(b"no gzip", RELAY, headers={"Content-Encoding": "gzip"}).status_code == 202
    letters = [json.loads(each) for each in appliance.redis().lrange("mutt:dlq:ingest", 0, -1)]
    assert len(letters) == 7
    assert len(max((letter["payload"] for letter in letters if isinstance(letter["payload"], str)), key=len)) == 65536

    wrong_key = appliance.post(syslog.event("x"), RELAY, headers={"X-API-KEY": "wrong"})
    assert (wrong_key.status_code, wrong_key.json()["reason"]) == (503, "unauthorized")
    assert appliance.post(syslog.event("x"), RELAY).status_code == 202


def test_invalid_utf8_is_replaced(appliance: Appliance) -> None:
    event = syslog.event("caf\u00e9 MARK")
    body = json.dumps(event, ensure_ascii=False).encode("latin-1")
    assert appliance.post(body, RELAY).status_code == 202
    appliance.wait_until_idle()
    assert appliance.query("SELECT message FROM event_audit_log") == [("caf\ufffd MARK",)]


def test_a_full_queue_is_answered_503(appliance: Appliance) -> None:
    client = appliance.redis()
    client.set("mutt:config:max_ingest_queue_size", "1")
    client.publish("mutt:config:updates", "max_ingest_queue_size")
    try:
        two = [syslog.event("a"), syslog.event("b")]
        (answer,) = wait_until(lambda: (a := appliance.post(two)).status_code == 503 and [a], "the new cap")
        assert (answer.json()["reason"], answer.headers["Retry-After"]) == ("queue_full", "5")
        assert appliance.post(two, RELAY).status_code == 503
    finally:
        client.delete("mutt:config:max_ingest_queue_size")
        client.publish("mutt:config:updates", "max_ingest_queue_size")
        wait_until(lambda: appliance.post(syslog.event("a")).status_code == 202, "the old cap")
        wait_until(lambda: appliance.post(two).status_code == 202, "the old cap")


def test_other_paths_and_methods_are_problems_too(appliance: Appliance) -> None:
    missing = requests.get(f"{appliance.ingest_url}/nothing", timeout=10)
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert requests.get(f"{appliance.ingest_url}/api/v2/ingest", timeout=10).status_code == 405


def test_head_and_body_of_an_answer_leave_in_one_write(appliance: Appliance) -> None:
    body = json.dumps(syslog.event("x")).encode()
    head = f"POST /api/v2/ingest HTTP/1.1\r\nHost: x\r\nX-API-KEY: {INGEST_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", appliance.ports["SERVER_PORT_INGESTOR"]), timeout=10) as client:
        for _ in range(5):
            client.sendall(head.encode() + body)
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 202")
            assert answer.endswith(b"}")


def test_metrics_and_health(appliance: Appliance) -> None:
    line = 'mutt_ingest_requests_total{reason="",status="success"}'
    before = appliance.metric("SERVER_PORT_INGESTOR", line)
    appliance.post(syslog.event("x"))
    assert appliance.metric("SERVER_PORT_INGESTOR", line) == before + 1
    status, health = appliance.health("mutt-ingestor")
    assert (status, health["status"], health["redis"], health["version"]) == (200, "healthy", "connected", "2.5")
    assert isinstance(health["queue_depth"], int)


def test_guessing_keys_is_slowed_down_and_valid_keys_are_not(appliance: Appliance) -> None:
    guesses = requests.Session()

    def guess() -> bool:
        answer = guesses.post(f"{appliance.ingest_url}/ingest", headers={"X-API-KEY": "guess"}, timeout=10)
        return answer.status_code == 429

    wait_until(guess, "the guesses to be refused", every=0)
    assert appliance.post(syslog.event("from the same address")).status_code == 202


@pytest.mark.parametrize(
    "start", [b"", b"POST /api/v2/ingest HTTP/1.1\r\nX-Slow: "], ids=["nothing sent", "half a head"]
)
def test_a_client_that_does_not_send_its_request_is_closed(appliance: Appliance, start: bytes) -> None:
    port = appliance.ports["SERVER_PORT_INGESTOR"]
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        client.sendall(start)
        # The end of the connection; the socket's own timeout of 15 s fails the test.
        assert client.recv(1) == b""


def test_a_body_that_does_not_come_is_answered_408_and_closed(appliance: Appliance) -> None:
    head = f"POST /api/v2/ingest HTTP/1.1\r\nHost: x\r\nX-API-KEY: {INGEST_KEY}\r\nContent-Length: 100\r\n\r\n{{"
    port = appliance.ports["SERVER_PORT_INGESTOR"]
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        client.sendall(head.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer


def test_two_requests_in_one_write_get_two_answers(appliance: Appliance) -> None:
    body = json.dumps(syslog.event("pipelined")).encode()
    head = f"POST /api/v2/ingest HTTP/1.1\r\nHost: x\r\nX-API-KEY: {INGEST_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", appliance.ports["SERVER_PORT_INGESTOR"]), timeout=5) as client:
        client.sendall((head.encode() + body) * 2)
        answers = b""
        while answers.count(b"HTTP/1.1 202") < 2:
            answers += client.recv(65536)
