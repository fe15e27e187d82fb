"""The client of mutt-admin against servers that misbehave."""

from collections.abc import Iterator

import msgspec
import pytest

from mutt.cli.api import Api, LostAnswerError, Message
from mutt.cli.connection import Choices, connect
from mutt.cli.exits import CliError
from tests.support.raw_server import RawServer

KEY = "key-for-tests"


def answer(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


class Turns:
    """What the server sends, by request: nothing for an empty one."""

    def __init__(self, *turns: bytes) -> None:
        self._left = list(turns)

    def __iter__(self) -> Iterator[bytes]:
        return iter([self._left.pop(0) if len(self._left) > 1 else self._left[0]])


def api_of(server: RawServer, timeout_seconds: float = 5) -> Api:
    url = server.url.removesuffix("/webhook")
    environ = {
        "MUTT_ADMIN_URL": url,
        "MUTT_ADMIN_API_KEY": KEY,
        "XDG_CONFIG_HOME": "/nowhere",
        "MUTT_ENV_FILE": "/none",
    }
    return Api(connect(Choices(timeout_seconds=timeout_seconds), environ))


def test_a_post_whose_answer_was_lost_is_sent_again_under_the_same_key() -> None:
    with RawServer(Turns(b"", answer("201 Created", b'{"message":"done"}'))) as server:
        assert api_of(server).post("/rules", {"a": 1}, Message).message == "done"
    first, second = (request.partition(b"\r\n\r\n")[0].lower() for request in server.requests)
    keys = [
        next(line for line in each.split(b"\r\n") if line.startswith(b"idempotency-key")) for each in (first, second)
    ]
    assert keys[0] == keys[1]


def test_a_put_whose_answer_was_lost_is_not() -> None:
    with RawServer(Turns(b"")) as server, pytest.raises(LostAnswerError, match="may or may not have been done"):
        api_of(server).put("/rules/1", {}, Message)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    with RawServer(Turns(answer("302 Found", b"", "Location: http://elsewhere/"))) as server:
        with pytest.raises(CliError, match="http://elsewhere/"):
            api_of(server).get("/metrics", Message)
        assert len(server.requests) == 1


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 100]
    with RawServer(drip, pause_seconds=0.05) as server, pytest.raises(CliError, match="timed out"):
        api_of(server, timeout_seconds=0.5).put("/rules/1", {}, Message)


@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"massage":"x"}', b"\xff"])
def test_an_answer_of_another_kind_says_so(body: bytes) -> None:
    with RawServer(Turns(answer("200 OK", body))) as server, pytest.raises(CliError, match="is it the web UI of MUTT"):
        api_of(server).get("/metrics", Message)


@pytest.mark.parametrize(
    ("status", "code"),
    [("401 U", 4), ("403 F", 4), ("409 C", 5), ("412 P", 5), ("400 B", 1), ("404 N", 1), ("422 U", 1), ("503 S", 1)],
)
def test_a_problem_is_its_sentence_its_field_and_an_exit_code(status: str, code: int) -> None:
    problem = msgspec.json.encode({"detail": "it must not be", "field": "rules[3].priority", "reason": "x"})
    with RawServer(Turns(answer(status, problem))) as server, pytest.raises(CliError) as caught:
        api_of(server).post("/rules/plan", {}, Message)
    assert "it must not be" in str(caught.value)
    assert "rules[3].priority" in str(caught.value)
    assert caught.value.exit_code == code
    assert KEY not in str(caught.value)


def test_a_stream_ends_with_the_problem_it_met() -> None:
    lines = b'{"message":"1"}\n{"error":"PostgreSQL is away","reason":"postgres_unreachable"}\n'
    with RawServer(Turns(answer("200 OK", lines))) as server:
        stream = api_of(server).stream("/rules/backtest", {}, Message)
        assert next(stream).message == "1"
        with pytest.raises(CliError, match="PostgreSQL is away"):
            next(stream)
