"""The REST API as mutt-admin calls it: one session, one deadline a call, answers decoded into the API's own types."""

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
import urllib3
import yaml

from mutt import __version__
from mutt.cli.connection import LOOPBACK, Connection
from mutt.cli.exits import AUTH, CONFLICT, FAILED, CliError
from mutt.cli.failures import refusal, unreachable

Answer = TypeVar("Answer")

CONNECT_SECONDS = 5.0
TRIES = 3
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
MOST_PER_PAGE = 200


class Message(msgspec.Struct):
    """What was done, in a sentence: as much as is read of the answers to most changes."""

    message: str


class LostAnswerError(CliError):
    """The request was sent and no answer came: it may or may not have been done."""


class Api:
    """Calls operations. ``path`` is below /api/v2; parts of it that come from people go through ``path_of``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.server_version: str | None = None
        self._session = requests.Session()
        # A proxy must not see the key that goes to this very host; and a password of ~/.netrc is not for MUTT.
        self._session.trust_env = urlsplit(connection.url).hostname not in LOOPBACK
        self._session.auth = _no_auth
        self._session.headers.update({"User-Agent": f"mutt-admin/{__version__}", "Accept-Encoding": "identity"})
        self._verify: bool | str = connection.ca_file or True

    def get(self, path: str, kind: type[Answer], **parameters: Any) -> Answer:
        """The answer of a GET. Raises CliError for every refusal and failure, here and below."""
        return self.get_tagged(path, kind, **parameters)[0]

    def get_tagged(self, path: str, kind: type[Answer], **parameters: Any) -> tuple[Answer, str | None]:
        """As ``get``, with the ETag that a change can name in If-Match."""
        answer = self._send("GET", path, parameters)
        return decode(answer, kind), answer.headers.get("ETag")

    def content(self, path: str, **parameters: Any) -> bytes:
        """The answer of a GET as it came, for documents that are passed on."""
        return self._send("GET", path, parameters).content

    def post(self, path: str, body: Any, kind: type[Answer]) -> Answer:
        """The answer of a POST, which is sent again under the same Idempotency-Key when its answer was lost."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return decode(self._send("POST", path, {}, body, headers), kind)

    def put(self, path: str, body: Any, kind: type[Answer], if_match: str | None = None) -> Answer:
        """The answer of a PUT; with ``if_match`` it is refused when somebody else was faster."""
        return decode(self._send("PUT", path, {}, body, {"If-Match": if_match}), kind)

    def delete(self, path: str, kind: type[Answer], if_match: str | None = None, **parameters: Any) -> Answer:
        return decode(self._send("DELETE", path, parameters, None, {"If-Match": if_match}), kind)

    def stream(self, path: str, body: Any, kind: type[Answer]) -> Iterator[Answer]:
        """The lines of an answer, each as soon as it comes. No deadline: every line is a sign of life."""
        headers = {"Accept": "application/x-ndjson", "Content-Type": "application/json", **self._key()}
        timeout = (CONNECT_SECONDS, self.connection.timeout_seconds)
        with self._translated("POST", path):
            answer = self._session.post(
                self.url(path), data=msgspec.json.encode(body), headers=headers, timeout=timeout, stream=True,
                verify=self._verify, allow_redirects=False,
            )  # fmt: skip
        with contextlib.closing(answer), self._translated("POST", path):
            self._check(answer)
            for line in answer.iter_lines():
                if line:
                    yield _decode_line(line, kind)

    def download(self, path: str, **parameters: Any) -> Iterator[bytes]:
        """The answer of a GET in pieces, for what may be larger than memory."""
        timeout = (CONNECT_SECONDS, self.connection.timeout_seconds)
        with self._translated("GET", path):
            answer = self._session.get(
                self.url(path), params=_given(parameters), headers=self._key(), timeout=timeout, stream=True,
                verify=self._verify, allow_redirects=False,
            )  # fmt: skip
        with contextlib.closing(answer), self._translated("GET", path):
            self._check(answer)
            yield from answer.iter_content(65536)

    def listed(
        self, path: str, kind: type[Answer], member: str, most: int, **parameters: Any
    ) -> tuple[list[Any], int, Answer]:
        """Up to ``most`` entries (0: all of them) from as many pages as it takes, the total, and the first page."""
        first: Answer | None = None
        entries: list[Any] = []
        size = MOST_PER_PAGE if not most else min(most, MOST_PER_PAGE)
        number = 1
        while True:
            page: Any = self.get(path, kind, page=number, limit=size, **parameters)
            first = page if first is None else first
            entries += getattr(page, member)
            wanted = min(most or page.total, page.total)
            if len(entries) >= wanted or not getattr(page, member):
                return entries[:wanted], page.total, first
            number += 1

    def url(self, path: str) -> str:
        return f"{self.connection.url}/api/v2{path}"

    # --- sending --------------------------------------------------------------------------------------------------

    def _send(
        self, method: str, path: str, parameters: Mapping[str, Any], body: Any = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> requests.Response:  # fmt: skip
        """One call within one deadline. What can be repeated without harm is, when the answer was lost."""
        deadline = time.monotonic() + self.connection.timeout_seconds
        repeatable = method == "GET" or "Idempotency-Key" in (headers or {})
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                return self._once(method, path, parameters, body, headers or {}, deadline)
            except LostAnswerError:
                if not (repeatable and tries_left and deadline - time.monotonic() > 1):
                    raise
                time.sleep(0.2)
        raise AssertionError("the last try returns or raises")

    def _once(
        self, method: str, path: str, parameters: Mapping[str, Any], body: Any, headers: Mapping[str, str | None],
        deadline: float,
    ) -> requests.Response:  # fmt: skip
        seconds = max(0.1, deadline - time.monotonic())
        content = None if body is None else msgspec.json.encode(body)
        given = {name: value for name, value in headers.items() if value is not None} | self._key()
        if content is not None:
            given["Content-Type"] = "application/json"
        with self._translated(method, path):
            answer = self._session.request(
                method, self.url(path), params=_given(parameters), data=content, headers=given, stream=True,
                timeout=(min(CONNECT_SECONDS, seconds), seconds), verify=self._verify, allow_redirects=False,
            )  # fmt: skip
            self._read(answer, deadline)
            self._check(answer)
        return answer

    @staticmethod
    def _read(answer: requests.Response, deadline: float) -> None:
        """Reads the body whole. A server that drips must not hold us: the timeout of requests is for one read."""
        pieces = []
        try:
            with contextlib.closing(answer):
                # What has come so far, unlike iter_content, which waits until a whole piece is full.
                while piece := answer.raw.read1(65536):
                    pieces.append(piece)
                    if time.monotonic() > deadline:
                        raise requests.Timeout("the answer did not end in time")
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.Timeout(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from error
        answer._content = b"".join(pieces)

    def _check(self, answer: requests.Response) -> None:
        """Raises CliError when the answer is not a success."""
        self.server_version = answer.headers.get("X-API-Version", self.server_version)
        if not answer.ok or answer.is_redirect:
            raise refusal(answer, self.connection)

    @contextlib.contextmanager
    def _translated(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise unreachable(error, self.connection) from error
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
            raise unreachable(error, self.connection) from error
        except LOST as error:
            if _never_connected(error):
                raise unreachable(error, self.connection) from error
            doubt = "" if method == "GET" else "; it may or may not have been done, so look before repeating it"
            raise LostAnswerError(f"no answer to {method} {self.url(path)} ({_reason(error)}){doubt}") from error
        except (requests.RequestException, OSError) as error:
            raise CliError(f"{self.url(path)}: {error}") from error

    def _key(self) -> dict[str, str]:
        if self.connection.api_key is None:
            raise CliError(
                f"{self.connection.no_key}. Write it into a file (chmod 0600) and name that with --api-key-file or as "
                "api_key_file in ~/.config/mutt/admin.toml, or set MUTT_ADMIN_API_KEY",
                AUTH,
            )
        if not self.connection.api_key.isprintable() or not self.connection.api_key.isascii():
            raise CliError(f"the key of {self.connection.key_source} has characters that no key has", AUTH)
        return {"X-API-KEY": self.connection.api_key}


def path_of(*parts: object) -> str:
    """A path of parts that may hold anything."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def decode(answer: requests.Response, kind: type[Answer]) -> Answer:
    """The answer as the API's type. Raises CliError when it is of another kind."""
    try:
        if "yaml" in answer.headers.get("Content-Type", ""):
            return msgspec.convert(yaml.safe_load(answer.content), kind)
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.MsgspecError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(
            f"{answer.url} answered something else than mutt-admin {__version__} expects ({error}); is it the web UI "
            "of MUTT, and of this version?"
        ) from error


class _StreamProblem(msgspec.Struct):
    error: str
    reason: str


def _decode_line(line: bytes, kind: type[Answer]) -> Answer:
    """A line of a stream; the last one may be a problem, which is raised."""
    with contextlib.suppress(msgspec.ValidationError):
        problem = msgspec.json.decode(line, type=_StreamProblem)
        raise CliError(problem.error, CONFLICT if problem.reason in ("conflict", "stale") else FAILED)
    return msgspec.json.decode(line, type=kind)


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters as the API reads them: those that were given, true and false in lower case."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _never_connected(error: Exception) -> bool:
    """Whether the request cannot have reached the server."""
    cause: Any = error.args[0] if error.args else None
    return type(getattr(cause, "reason", cause)).__name__ in ("NewConnectionError", "NameResolutionError")


def _reason(error: Exception) -> str:
    return "timed out" if isinstance(error, requests.Timeout) else "the connection was closed"
