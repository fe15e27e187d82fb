"""The webhook client against receivers that are well, ill, slow and hostile."""

import base64
import itertools
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from mutt.errors import CredentialsError
from mutt.moogsoft.client import MOST_HOLD_SECONDS, Answer, Verdict, WebhookClient, retry_after
from mutt.settings import WebhookSettings
from tests.support.raw_server import RawServer
from tests.support.redis_server import FixedCredentials, free_port

BODY = b'{"events":[{"signature":"a"},{"signature":"b"}]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class StandIn:
    """load/receiver.py as a process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "load.receiver", "--port", "0"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout
        self.base = "http://" + self._process.stdout.readline().decode().split()[-1]
        self.url = self.base + "/events"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def behave(self, **behaviour: Any) -> None:
        requests.put(f"{self.base}/behaviour", json=behaviour, timeout=5).raise_for_status()

    def received(self) -> dict[str, Any]:
        content: dict[str, Any] = requests.get(f"{self.base}/received?headers=1", timeout=5).json()
        return content

    def forget(self) -> None:
        requests.delete(f"{self.base}/received", timeout=5).raise_for_status()
        self.behave()


@pytest.fixture(scope="module")
def one_receiver() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def receiver(one_receiver: StandIn) -> StandIn:
    """A receiver that is well and has received nothing."""
    one_receiver.forget()
    return one_receiver


def a_client(url: str, timeout: float = 5.0, key: str | None = "a-key", **options: Any) -> WebhookClient:
    settings = WebhookSettings(url=url, timeout_seconds=timeout, **options)
    return WebhookClient(settings, FixedCredentials(**({"MOOG_API_KEY": key} if key else {})), connections=4)


def post_to(*pieces: bytes, timeout: float = 2.0, pause_seconds: float = 0.0) -> Answer:
    """The answer to a request that is answered with these bytes."""
    with RawServer(pieces, pause_seconds) as server:
        return a_client(server.url, timeout).post(BODY)


# --- what an answer means --------------------------------------------------------------------------------------------


def test_success(receiver: StandIn) -> None:
    answer = a_client(receiver.url).post(BODY)
    assert (answer.verdict, answer.reason, answer.status, answer.hold_seconds) == (Verdict.DELIVERED, "", 200, 0.0)
    assert 0 < answer.latency_seconds < 5
    assert receiver.received()["alerts"] == [{"signature": "a"}, {"signature": "b"}]


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        (201, Verdict.DELIVERED, ""),
        (202, Verdict.DELIVERED, ""),
        (400, Verdict.REFUSED, "client_error"),
        (401, Verdict.RETRY, "unauthorized"),
        (403, Verdict.RETRY, "unauthorized"),
        (404, Verdict.REFUSED, "client_error"),
        (408, Verdict.RETRY, "timeout"),
        (413, Verdict.REFUSED, "client_error"),
        (429, Verdict.RETRY, "too_many_requests"),
        (500, Verdict.RETRY, "server_error"),
        (503, Verdict.RETRY, "server_error"),
        (599, Verdict.RETRY, "server_error"),
    ],
)
def test_what_a_status_means(receiver: StandIn, status: int, verdict: Verdict, reason: str) -> None:
    receiver.behave(status=status)
    answer = a_client(receiver.url).post(BODY)
    assert (answer.verdict, answer.reason, answer.status) == (verdict, reason, status)
    assert str(status) in answer.sentence


def test_an_answer_without_a_body() -> None:
    assert post_to(b"HTTP/1.1 204 No Content\r\n\r\n").verdict is Verdict.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: StandIn, status: int) -> None:
    receiver.behave(redirect=f"{receiver.base}/elsewhere", status=status, times=1)
    answer = a_client(receiver.url).post(BODY)
    assert (answer.verdict, answer.reason, answer.status) == (Verdict.RETRY, "redirect", status)
    assert receiver.received()["count"] == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("999999999999", MOST_HOLD_SECONDS),
        (None, 0.0),
    ],
)
def test_retry_after(receiver: StandIn, header: str | None, seconds: float) -> None:
    receiver.behave(status=429, retry_after=header)
    answer = a_client(receiver.url).post(BODY)
    assert answer.verdict is Verdict.RETRY
    assert answer.hold_seconds == seconds


def test_retry_after_as_a_date(receiver: StandIn) -> None:
    receiver.behave(status=503, retry_after=format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert a_client(receiver.url).post(BODY).hold_seconds == pytest.approx(60, abs=5)
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)) == 0.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 -0000") == 0.0
    assert retry_after("") == 0.0


def test_a_strange_retry_after_does_not_hide_the_status() -> None:
    answer = post_to(b"HTTP/1.1 200 OK\r\nRetry-After: \xb2\r\nContent-Length: 2\r\n\r\n{}")
    assert (answer.verdict, answer.status, answer.hold_seconds) == (Verdict.DELIVERED, 200, 0.0)


# --- no answer, or a strange one -------------------------------------------------------------------------------------


def test_connection_refused() -> None:
    answer = a_client(f"http://127.0.0.1:{free_port()}/webhook").post(BODY)
    assert (answer.verdict, answer.reason, answer.status) == (Verdict.RETRY, "connection", None)


@pytest.mark.parametrize("fault", ["drop", "garbage"])
def test_a_receiver_that_breaks_off(receiver: StandIn, fault: str) -> None:
    receiver.behave(**{fault: True})
    answer = a_client(receiver.url).post(BODY)
    assert (answer.verdict, answer.reason, answer.status) == (Verdict.RETRY, "connection", None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 1000 + b"\r\n",
    ],
    ids=["nothing", "empty lines", "no status", "version", "ssh", "long header", "many headers"],
)
def test_what_is_no_http_is_tried_again(answer: bytes) -> None:
    answered = post_to(answer)
    assert (answered.verdict, answered.reason, answered.status) == (Verdict.RETRY, "connection", None)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["cut", "bad chunk", "cut chunk"],
)
def test_a_body_that_breaks_off_does_not_raise(answer: bytes) -> None:
    answered = post_to(answer)
    # Whether the status counts or the alerts are sent again: both keep the promise of at least once.
    assert answered.verdict in (Verdict.DELIVERED, Verdict.RETRY)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    ],
    ids=["no number", "two numbers", "negative"],
)
def test_a_length_that_is_none_does_not_raise(answer: bytes) -> None:
    assert post_to(answer).verdict in (Verdict.DELIVERED, Verdict.RETRY)


# --- deadlines and memory --------------------------------------------------------------------------------------------


def timed_post(url: str, timeout: float) -> Answer:
    """The answer, which must come within the deadline and a little."""
    started = time.monotonic()
    answer = a_client(url, timeout).post(BODY)
    took = time.monotonic() - started
    assert took < timeout + 1.5
    assert answer.latency_seconds == pytest.approx(took, abs=0.5)
    return answer


def test_silence_ends_at_the_deadline(receiver: StandIn) -> None:
    receiver.behave(latency_ms=60_000, times=1)
    answer = timed_post(receiver.url, 0.4)
    assert (answer.verdict, answer.reason, answer.status) == (Verdict.RETRY, "timeout", None)
    assert "0.4 s" in answer.sentence


def test_a_dripping_body_ends_at_the_deadline_of_the_whole(receiver: StandIn) -> None:
    receiver.behave(drip=True)
    answer = timed_post(receiver.url, 1.6)  # Longer than the pauses, so that no single read takes too long.
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "timeout")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000],
        [b"HTTP/1.1 200 OK\r\n", *[b"X-A: a\r\n"] * 90],
        [bytes([byte]) for byte in b"HTTP/1.1 200 " + b"O" * 500],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000,
    ],
    ids=["body", "headers", "status line", "100 for ever"],
)
def test_dripping_anywhere_ends_at_the_deadline(pieces: list[bytes]) -> None:
    with RawServer(pieces, pause_seconds=0.05) as server:
        answer = timed_post(server.url, 0.6)
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "timeout")


def test_a_timeout_of_somebody_else_is_not_swallowed(receiver: StandIn) -> None:
    receiver.behave(latency_ms=60_000, times=2)
    client = a_client(receiver.url, timeout=30)
    for call in (lambda: client.post(BODY), client.reachable):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
            call()


@pytest.mark.parametrize("endless", [False, True], ids=["gzip bomb", "endless"])
def test_large_answers_are_neither_unpacked_nor_read_to_their_end(receiver: StandIn, endless: bool) -> None:
    receiver.behave(gzip_bomb=True)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with RawServer(itertools.chain([head], itertools.repeat(chunk))) as server:
        client = a_client(server.url if endless else receiver.url)
        tracemalloc.start()
        try:
            answer = client.post(BODY)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.verdict is Verdict.DELIVERED
    assert peak < 5_000_000


def test_connections_are_used_again() -> None:
    with RawServer([OK], keeps=True) as server:
        client = a_client(server.url)
        assert {client.post(BODY).verdict for _ in range(20)} == {Verdict.DELIVERED}
        assert len(server.requests) == 20
        assert server.connections == 1


def test_a_connection_that_the_receiver_closed_meanwhile_is_replaced() -> None:
    with RawServer([OK]) as server:
        client = a_client(server.url)
        for _ in range(5):
            assert client.post(BODY).verdict is Verdict.DELIVERED
            gevent.sleep(0.02)  # The receiver's end of the connection comes through.


# --- what is sent ----------------------------------------------------------------------------------------------------


def request_of(key: str | None = "a-key", **options: Any) -> tuple[dict[str, str], bytes]:
    """Headers (names in lower case) and body of a request as they arrive."""
    with RawServer([OK]) as server:
        a_client(server.url, key=key, **options).post(BODY)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0] == "POST /webhook HTTP/1.1"
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}, body


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        ({}, "authorization", "Bearer secret:key"),
        ({"auth": "bearer"}, "authorization", "Bearer secret:key"),
        ({"auth": "basic"}, "authorization", "Basic " + base64.b64encode(b"secret:key").decode()),
        ({"auth": "apikey"}, "apikey", "secret:key"),
        ({"format": "cloud"}, "apikey", "secret:key"),
        ({"format": "cloud", "auth": "bearer"}, "authorization", "Bearer secret:key"),
    ],
)
def test_how_the_key_is_sent(options: dict[str, str], header: str, value: str) -> None:
    headers, body = request_of(key="secret:key", **options)
    assert {name: headers[name] for name in ("authorization", "apikey") if name in headers} == {header: value}
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("MUTT/")
    assert body == BODY


@pytest.mark.parametrize("auth", ["body", "none"])
def test_no_header_carries_the_key(auth: str) -> None:
    headers, _ = request_of(key="secret:key", auth=auth)
    assert not {"authorization", "apikey"} & set(headers)
    assert "secret" not in json.dumps(headers)


def test_the_token_for_the_body() -> None:
    assert a_client("http://127.0.0.1:1/", auth="body").auth_token() == "a-key"
    assert a_client("http://127.0.0.1:1/", auth="bearer").auth_token() is None


def test_without_a_key_none_is_sent() -> None:
    headers, _ = request_of(key=None)
    assert "authorization" not in headers


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither its proxy nor the password that .netrc has for the host is used."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    headers, body = request_of(key=None)
    assert "authorization" not in headers
    assert body == BODY


def test_without_secrets_nothing_is_sent(receiver: StandIn) -> None:
    class NoCredentials(FixedCredentials):
        def get(self, name: str) -> str | None:
            raise CredentialsError("the secrets cannot be read")

    client = WebhookClient(WebhookSettings(url=receiver.url), NoCredentials(), connections=1)
    with pytest.raises(CredentialsError):
        client.post(BODY)
    assert receiver.received()["count"] == 0


@pytest.mark.parametrize("key", ["two\r\nX-Lines: 1", "\u20ac"], ids=["two lines", "not latin-1"])
def test_a_key_that_no_header_can_carry_is_an_outage_and_no_accident(receiver: StandIn, key: str) -> None:
    answer = a_client(receiver.url, key=key).post(BODY)
    assert answer.verdict is Verdict.RETRY
    assert receiver.received()["count"] == 0


# --- reachable() -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "reachable"), [(None, True), (401, True), (405, True), (501, True), (503, False)])
def test_reachable_says_whether_a_server_works_there(receiver: StandIn, status: int | None, reachable: bool) -> None:
    receiver.behave(**({"status": status} if status else {}))
    assert a_client(receiver.url).reachable() is reachable


def test_reachable_creates_no_event_and_sends_no_body(receiver: StandIn) -> None:
    assert a_client(receiver.url).reachable()
    assert receiver.received()["count"] == 0
    with RawServer([OK]) as server:
        assert a_client(server.url).reachable()
    [request] = server.requests
    assert request.startswith(b"OPTIONS ")
    assert request.endswith(b"\r\n\r\n")


def test_unreachable() -> None:
    assert a_client(f"http://127.0.0.1:{free_port()}/").reachable() is False
    with RawServer([b"garbage\r\n\r\n"]) as server:
        assert a_client(server.url).reachable() is False
    with RawServer([b"HTTP/1.1 200 OK\r\n", *[b"X-A: a\r\n"] * 90], pause_seconds=0.05) as server:
        started = time.monotonic()
        assert a_client(server.url, timeout=0.4).reachable() is False
        assert time.monotonic() - started < 2
