"""The stand-in receiver: what it keeps, what it shows, and how it fails when told to."""

import gzip
import io
import json
from typing import Any

import pytest

from load.webhook import Answer, Receiver


def post(receiver: Receiver, content: Any, headers: dict[str, str] | None = None) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return receiver.answer("POST", "/events/webhook", "", headers or {}, body)


def received(receiver: Receiver, query: str = "") -> dict[str, Any]:
    answer = receiver.answer("GET", "/received", query, {}, b"")
    assert answer.status == 200
    result: dict[str, Any] = json.loads(answer.body)
    return result


def behave(receiver: Receiver, **behaviour: Any) -> None:
    answer = receiver.answer("PUT", "/behaviour", "", {}, json.dumps(behaviour).encode())
    assert answer.status == 200
    assert json.loads(answer.body) == behaviour


def tally(receiver: Receiver) -> dict[str, int]:
    result: dict[str, int] = json.loads(receiver.answer("GET", "/tally", "", {}, b"").body)
    return result


# --- what it keeps ---------------------------------------------------------------------------------------------------


def test_the_three_shapes_of_a_body_are_kept_alert_by_alert_in_order() -> None:
    receiver = Receiver()
    assert post(receiver, {"signature": "a"}).status == 200
    assert post(receiver, {"events": [{"signature": "b"}, {"signature": "c", "custom_info": {"x": 1}}]}).status == 200
    assert post(receiver, [{"signature": "d"}]).status == 200
    assert received(receiver) == {
        "count": 4,
        "alerts": [
            {"signature": "a"},
            {"signature": "b"},
            {"signature": "c", "custom_info": {"x": 1}},
            {"signature": "d"},
        ],
    }


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'"text"', b'{"events": {}}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_alert_is_refused_and_not_kept(body: bytes) -> None:
    receiver = Receiver()
    answer = post(receiver, body)
    assert answer.status == 400
    assert "error" in json.loads(answer.body)
    assert received(receiver)["count"] == 0


def test_since_leaves_out_what_was_seen_before() -> None:
    receiver = Receiver()
    post(receiver, [{"n": n} for n in range(5)])
    assert received(receiver, "since=3") == {"count": 5, "alerts": [{"n": 3}, {"n": 4}]}
    assert received(receiver, "since=5") == {"count": 5, "alerts": []}
    assert received(receiver, "since=-1") == {"count": 5, "alerts": []}
    assert receiver.answer("GET", "/received", "since=soon", {}, b"").status == 400


def test_older_alerts_are_forgotten_at_the_limit_but_stay_counted() -> None:
    receiver = Receiver(kept=3)
    post(receiver, [{"n": n} for n in range(10)])
    assert received(receiver) == {"count": 10, "alerts": [{"n": 7}, {"n": 8}, {"n": 9}]}
    assert received(receiver, "since=8") == {"count": 10, "alerts": [{"n": 8}, {"n": 9}]}
    assert received(receiver, "since=2")["alerts"] == [{"n": 7}, {"n": 8}, {"n": 9}]


def test_credentials_are_shown_on_request() -> None:
    receiver = Receiver()
    post(receiver, {"n": 1}, {"Authorization": "Bearer key"})
    post(receiver, [{"n": 2}, {"n": 3}], {"apiKey": "other"})
    assert received(receiver, "headers=1")["headers"] == [
        {"Authorization": "Bearer key"},
        {"apiKey": "other"},
        {"apiKey": "other"},
    ]


def test_delete_forgets_everything() -> None:
    receiver = Receiver()
    post(receiver, {"n": 1})
    assert receiver.answer("DELETE", "/received", "", {}, b"").status == 200
    assert received(receiver) == {"count": 0, "alerts": []}
    assert tally(receiver)["accepted"] == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_probe_invents_no_alert_and_meets_the_same_fault(method: str) -> None:
    receiver = Receiver()
    assert receiver.answer(method, "/events/webhook", "", {}, b"").status == 200
    behave(receiver, status=503, times=1)
    assert receiver.answer(method, "/events/webhook", "", {}, b"").status == 503
    assert receiver.answer(method, "/events/webhook", "", {}, b"").status == 503, "a probe uses up no fault"
    assert received(receiver)["count"] == 0
    assert tally(receiver) == {"accepted": 0, "refused": 0, "dropped": 0, "withheld": 0}


# --- how it fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
def test_a_status_other_than_2xx_takes_nothing(status: int) -> None:
    receiver = Receiver()
    behave(receiver, status=status)
    assert post(receiver, {"n": 1}).status == status
    assert received(receiver)["count"] == 0
    assert tally(receiver)["refused"] == 1


def test_any_2xx_takes_the_alerts() -> None:
    receiver = Receiver()
    behave(receiver, status=204)
    assert post(receiver, {"n": 1}).status == 204
    assert received(receiver)["count"] == 1


def test_a_fault_lasts_as_many_posts_as_told() -> None:
    receiver = Receiver()
    behave(receiver, status=500, times=2)
    assert [post(receiver, {"n": n}).status for n in range(4)] == [500, 500, 200, 200]
    assert received(receiver)["alerts"] == [{"n": 2}, {"n": 3}]
    assert receiver.answer("GET", "/behaviour", "", {}, b"").body == b"{}"


def test_headers_of_429_and_of_a_redirect() -> None:
    receiver = Receiver()
    behave(receiver, status=429, retry_after=7)
    assert post(receiver, {}).headers["Retry-After"] == "7"
    behave(receiver, redirect="http://127.0.0.1:1/elsewhere")
    answer = post(receiver, {})
    assert (answer.status, answer.headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_dropped_request_takes_nothing_a_withheld_answer_comes_after_taking() -> None:
    receiver = Receiver()
    behave(receiver, drop=True)
    assert post(receiver, {"n": 1}).wire == "close"
    behave(receiver, withhold=True)
    assert post(receiver, {"n": 2}).wire == "close"
    assert received(receiver)["alerts"] == [{"n": 2}]
    assert tally(receiver) == {"accepted": 0, "refused": 0, "dropped": 1, "withheld": 1}


def test_only_requests_with_the_guilty_text_are_refused() -> None:
    receiver = Receiver()
    behave(receiver, refuse_containing="guilty", times=1)
    assert post(receiver, [{"d": "fine"}]).status == 200
    assert post(receiver, [{"d": "fine"}, {"d": "guilty"}]).status == 400
    assert post(receiver, [{"d": "guilty"}]).status == 200, "it was told to refuse once"
    assert received(receiver)["count"] == 2


def test_wire_faults_and_latency_are_handed_to_the_server() -> None:
    receiver = Receiver()
    behave(receiver, garbage=True, latency_ms=250)
    answer = post(receiver, {})
    assert (answer.wire, answer.latency_ms) == ("garbage", 250)
    behave(receiver, drip=True)
    assert post(receiver, {}).wire == "drip"
    assert received(receiver)["count"] == 0


def test_the_gzip_bomb_is_small_on_the_wire_and_large_unpacked() -> None:
    receiver = Receiver()
    behave(receiver, gzip_bomb=True)
    answer = post(receiver, {})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 1024 * 1024
    with gzip.open(io.BytesIO(answer.body)) as stream:
        assert len(stream.read(3 * 1024 * 1024)) == 3 * 1024 * 1024


def test_an_unknown_fault_is_refused_and_changes_nothing() -> None:
    receiver = Receiver()
    answer = receiver.answer("PUT", "/behaviour", "", {}, b'{"sttaus": 500}')
    assert answer.status == 400
    assert b"sttaus" in answer.body
    assert post(receiver, {}).status == 200


def test_delete_and_an_empty_put_are_back_to_normal() -> None:
    receiver = Receiver()
    for method, body in (("DELETE", b""), ("PUT", b"{}")):
        behave(receiver, status=500)
        assert receiver.answer(method, "/behaviour", "", {}, body).status == 200
        assert post(receiver, {}).status == 200
