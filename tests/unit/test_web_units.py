"""Health reports, API keys, refusals and request bodies, without a server."""

import gzip
import io
import json
import tracemalloc
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import falcon
import falcon.testing
import gevent.event
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.credentials.file import FileCredentials
from mutt.errors import CredentialsError, OutageError, Reason, RequestError
from mutt.ingest import body as request_body
from mutt.ingest.body import KEPT_BYTES, read_body
from mutt.settings import CredentialSettings
from mutt.web import health, problems
from mutt.web.auth import key_is_valid

# --- health -----------------------------------------------------------------------------------------------------------


def away() -> None:
    raise OutageError(Reason.REDIS_UNREACHABLE, "Redis cannot be reached")


def never() -> None:
    gevent.event.Event().wait()


def test_health_has_the_documented_shape() -> None:
    checks: dict[str, health.Check] = {"redis": lambda: None, "postgres": lambda: None, "queue_depth": lambda: 12345}
    status, report = health.report("mutt-alerter", checks, {"rules": 3})
    moment = datetime.fromisoformat(report.pop("timestamp"))
    assert moment.utcoffset() is not None
    assert (status, report) == (
        200,
        {
            "status": "healthy",
            "redis": "connected",
            "postgres": "connected",
            "queue_depth": 12345,
            "version": "2.5",
            "service": "mutt-alerter",
            "rules": 3,
        },
    )


def test_a_program_without_dependencies_is_healthy() -> None:
    assert health.report("mutt-x", {})[0] == 200


@pytest.mark.parametrize("broken", ["redis", "queue_depth"])
def test_one_failure_is_unhealthy_and_says_why(broken: str) -> None:
    checks: dict[str, health.Check] = {"redis": lambda: None, "queue_depth": lambda: 0, broken: away}
    status, report = health.report("mutt-ingestor", checks)
    assert (status, report["status"], report[broken]) == (503, "unhealthy", "Redis cannot be reached")
    assert next(iter(report)) == "status"


def test_a_stalled_check_does_not_stall_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEADLINE_SECONDS", 0.05)
    status, report = health.report("mutt-alerter", {"postgres": never, "redis": lambda: None})
    assert status == 503
    assert (report["postgres"], report["redis"]) == ("no answer within 0.05 s", "connected")


def test_the_whole_report_takes_less_than_two_seconds() -> None:
    assert health.DEADLINE_SECONDS < 2


@pytest.mark.filterwarnings("ignore")
def test_a_check_that_fails_unexpectedly_is_a_failed_check() -> None:
    status, report = health.report("mutt-alerter", {"redis": lambda: {}["no such key"]})
    assert (status, report["status"]) == (503, "unhealthy")


# --- API keys ---------------------------------------------------------------------------------------------------------


def credentials(folder: Path, content: str) -> FileCredentials:
    file = folder / "secrets.env"
    file.write_text(content, encoding="utf-8")
    file.chmod(0o600)
    read = FileCredentials(CredentialSettings(backend="file", file=file))
    read.refresh()
    return read


KEYS = "INGEST_API_KEY=first-key\nINGEST_API_KEY_NEXT=second-key\nWEBUI_API_KEY=schlüssel\U0001f511\nMOOG_API_KEY=\n"


@pytest.mark.parametrize("presented", ["first-key", "second-key"])
def test_the_current_key_and_its_successor_are_valid(tmp_path: Path, presented: str) -> None:
    assert key_is_valid(presented.encode(), "INGEST_API_KEY", credentials(tmp_path, KEYS)) is True


@pytest.mark.parametrize(
    "presented",
    ["", "first", "first-key ", "First-Key", "first-key\x00", "schlüssel", "\xff", chr(0xD800), "k" * 10**6],
)
def test_any_other_key_is_not(tmp_path: Path, presented: str) -> None:
    for name in ("INGEST_API_KEY", "WEBUI_API_KEY", "MOOG_API_KEY", "NO_SUCH_KEY"):
        assert key_is_valid(presented.encode("utf-8", "replace"), name, credentials(tmp_path, KEYS)) is False


def test_a_key_need_not_be_ascii(tmp_path: Path) -> None:
    known = credentials(tmp_path, KEYS)
    assert key_is_valid("schlüssel\U0001f511".encode(), "WEBUI_API_KEY", known)
    assert not key_is_valid(b"schlussel", "WEBUI_API_KEY", known)


def test_without_secrets_nobody_is_told_yes_or_no(tmp_path: Path) -> None:
    unread = FileCredentials(CredentialSettings(backend="file", file=tmp_path / "missing.env"))
    with pytest.raises(CredentialsError):
        key_is_valid(b"any", "INGEST_API_KEY", unread)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "title"), [(400, "Bad Request"), (401, "Unauthorized"), (503, "Service Unavailable")]
)
def test_a_refusal_is_a_problem_document(status: int, title: str) -> None:
    response = falcon.Response()
    problems.write(response, RequestError(Reason.QUEUE_FULL, status, "the queue is full"))
    assert response.status == f"{status} {title}"
    assert response.content_type == "application/problem+json"
    assert json.loads(response.data or b"") == {
        "type": "urn:mutt:problem:queue_full",
        "title": title,
        "status": status,
        "detail": "the queue is full",
        "reason": "queue_full",
        "error": "the queue is full",
    }
    assert (response.get_header("Retry-After") == "5") is (status == 503)


class Nothing:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        raise falcon.HTTPServiceUnavailable(description="come back later", retry_after=30)


@pytest.fixture
def client() -> falcon.testing.TestClient:
    app = falcon.App()
    app.add_error_handler(falcon.HTTPError, problems.handle_http_error)
    app.add_route("/thing", Nothing())
    return falcon.testing.TestClient(app)


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("DELETE", "/thing", 405, "Method Not Allowed"),
        ("GET", "/thing", 503, "come back later"),
    ],
)
def test_refusals_of_the_framework_have_the_same_shape(
    client: falcon.testing.TestClient, method: str, path: str, status: int, sentence: str
) -> None:
    answer = client.simulate_request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert answer.json["detail"] == answer.json["error"] == sentence
    assert set(answer.json) >= {"type", "title"}


def test_headers_of_a_refusal_are_kept(client: falcon.testing.TestClient) -> None:
    assert client.simulate_delete("/thing").headers["allow"] == "GET, OPTIONS"
    assert client.simulate_get("/thing").headers["retry-after"] == "30"


# --- request bodies ---------------------------------------------------------------------------------------------------

MAX_BODY, MAX_UNPACKED = 10_000, 50_000


class Connection:
    """Stands for gunicorn's socket, which can be told to close after the answer."""

    closes = False

    def close_after_answer(self) -> None:
        self.closes = True


def environ(content: bytes, encoding: str | None = None, length: int | str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"wsgi.input": io.BytesIO(content), "gunicorn.socket": Connection()}
    if encoding is not None:
        made["HTTP_CONTENT_ENCODING"] = encoding
    made["CONTENT_LENGTH"] = str(len(content) if length is None else length)
    return made


def read(content: bytes, encoding: str | None = None, length: int | str | None = None) -> bytes:
    return read_body(environ(content, encoding, length), MAX_BODY, MAX_UNPACKED)


def refused(content: bytes, encoding: str | None = None, length: int | str | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(content, encoding, length)
    return caught.value


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
@pytest.mark.parametrize("content", [b"", b"{}", b"x" * MAX_BODY])
def test_a_plain_body_is_read_as_it_is(content: bytes, encoding: str | None) -> None:
    assert read(content, encoding) == content


@pytest.mark.parametrize("length", ["", "0", "no number", "-1"])
def test_a_body_is_read_whatever_its_declared_length(length: str) -> None:
    # A chunked body declares none; the server has checked the header and hands over what belongs to the request.
    assert read(b"{}", length=length) == b"{}"


@pytest.mark.parametrize("encoding", ["gzip", " GZip "])
def test_a_gzip_body_is_unpacked(encoding: str) -> None:
    assert read(gzip.compress(b"x" * MAX_UNPACKED), encoding) == b"x" * MAX_UNPACKED


def test_a_gzip_body_of_several_members_is_unpacked_whole() -> None:
    assert (
        read(b"".join(gzip.compress(part) for part in (b"one ", b"", b"two ", b"three", b"")), "gzip")
        == b"one two three"
    )


def test_an_empty_gzip_body_is_empty() -> None:
    assert read(b"", "gzip") == read(gzip.compress(b""), "gzip") == b""


@pytest.mark.parametrize("length", [None, 0, MAX_BODY + 1, 10**12])
def test_a_body_over_the_limit_is_refused_and_its_start_kept(length: int | None) -> None:
    content = b"<" + b"x" * (MAX_BODY + 100_000)
    asked = environ(content, length=length)
    with pytest.raises(RequestError) as caught:
        read_body(asked, MAX_BODY, MAX_UNPACKED)
    assert (caught.value.status, caught.value.reason) == (413, Reason.BODY_TOO_LARGE)
    assert str(MAX_BODY) in str(caught.value)
    assert caught.value.content.startswith(b"<xxx")
    assert len(caught.value.content) <= KEPT_BYTES
    assert asked["gunicorn.socket"].closes, "what was not read must not be taken for the next request"


def test_no_more_of_a_large_body_is_read_than_is_kept() -> None:
    asked = environ(b"x" * 1_000_000, length=1_000_000)
    with pytest.raises(RequestError):
        read_body(asked, MAX_BODY, MAX_UNPACKED)
    assert asked["wsgi.input"].tell() <= max(KEPT_BYTES, MAX_BODY + 1)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_a_body_that_unpacks_over_the_limit_is_refused(members: int) -> None:
    content = gzip.compress(b"x" * (MAX_UNPACKED // members + 1)) * members
    error = refused(content, "gzip")
    assert (error.status, error.reason) == (413, Reason.UNPACKED_TOO_LARGE)
    assert str(MAX_UNPACKED) in str(error)
    assert error.content.startswith(b"xxx")


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(b"\x00" * 9_000_000)
    assert len(bomb) < MAX_BODY
    tracemalloc.start()
    try:
        error = refused(bomb, "gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.reason is Reason.UNPACKED_TOO_LARGE
    assert len(error.content) <= KEPT_BYTES
    assert peak < 10 * MAX_UNPACKED


@pytest.mark.parametrize("members", [1, 3, 40])
@pytest.mark.parametrize("character", ["x", "xyz0123456789"])
def test_members_of_many_pieces_are_unpacked_whole(members: int, character: str) -> None:
    """What unpacks to a multiple of itself is measured first and unpacked again; both must see every member's end."""
    content = (character * 300_000)[:300_000].encode()
    packed = gzip.compress(content) * members
    assert request_body._unpack(packed, 300_000 * members) == content * members


@pytest.mark.parametrize("cut", [1, 5, 9, 12, 30])
def test_a_gzip_body_cut_short_is_refused(cut: int) -> None:
    content = gzip.compress(bytes(range(256)) * 4)
    error = refused(content[:-cut], "gzip")
    assert (error.status, error.reason, str(error)) == (400, Reason.BAD_ENCODING, "the gzip body is cut short")
    assert refused(gzip.compress(b"whole") + content[:-cut], "gzip").reason is Reason.BAD_ENCODING


@pytest.mark.parametrize(
    "content",
    [b'{"message":"not gzip"}', b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 40, zlib.compress(b"zlib"),
     gzip.compress(b"good") + b"trailing garbage", gzip.compress(b"good")[:-8] + b"\x00" * 8],
)  # fmt: skip
def test_a_body_that_is_not_gzip_is_refused_and_kept(content: bytes) -> None:
    error = refused(content, "gzip")
    assert (error.status, error.reason) == (400, Reason.BAD_ENCODING)


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "x" * 10_000])
def test_another_encoding_is_refused(encoding: str) -> None:
    error = refused(b"content", encoding)
    assert (error.status, error.reason, error.content) == (415, Reason.BAD_ENCODING, b"content")
    assert len(str(error)) < 200


class Dripping:
    def read(self, _size: int) -> bytes:
        never()
        return b""


def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_DEADLINE_SECONDS", 0.05)
    asked = {**environ(b""), "wsgi.input": Dripping()}
    with pytest.raises(RequestError) as caught:
        read_body(asked, MAX_BODY, MAX_UNPACKED)
    assert (caught.value.status, caught.value.reason) == (408, Reason.BODY_TIMEOUT)
    assert asked["gunicorn.socket"].closes


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(gzip.compress), st.sampled_from([None, "gzip"]), st.data())
def test_any_body_is_read_or_refused(content: bytes, encoding: str | None, data: st.DataObject) -> None:
    if content and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.binary(max_size=3)) + content[at + 1 :]
    try:
        assert isinstance(read(content, encoding), bytes)
    except RequestError as error:
        kept = error.content
        assert len(kept) <= KEPT_BYTES
