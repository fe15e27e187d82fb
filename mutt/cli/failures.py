"""What went wrong with a call, as the sentence that an operator reads: what, where, and what to try."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from mutt.cli.connection import Connection
from mutt.cli.exits import AUTH, CONFLICT, FAILED, CliError

EXIT_CODES = {401: AUTH, 403: AUTH, 409: CONFLICT, 412: CONFLICT}


class Problem(msgspec.Struct):
    """application/problem+json, as far as it is shown."""

    detail: str = ""
    error: str = ""
    reason: str = ""
    field: str | None = None


class ApiError(CliError):
    """The API refused; ``status`` is the HTTP status, ``reason`` the word from the closed set of reasons."""

    def __init__(self, sentence: str, status: int, reason: str) -> None:
        wrong_keys = status == 429 and reason == "too_many_wrong_keys"
        super().__init__(sentence, AUTH if wrong_keys else EXIT_CODES.get(status, FAILED))
        self.status = status
        self.reason = reason


def refusal(answer: requests.Response, connection: Connection) -> CliError:
    """The error that an answer stands for."""
    if answer.is_redirect:
        return CliError(
            f"{connection.url} redirects to {answer.headers['Location']}; redirects are not followed, because the key "
            "would go along. If that is the appliance, set the URL to it where it is set now: "
            f"{connection.url_source}"
        )
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = Problem()
    sentence = problem.detail or problem.error
    if not sentence:
        return ApiError(
            f"{answer.url} answered {answer.status_code} {answer.reason} and no explanation; is {connection.url} "
            "the web UI of MUTT?",
            answer.status_code,
            "",
        )
    return ApiError(
        sentence + _where(problem, sentence) + _advice(answer, connection), answer.status_code, problem.reason
    )


def unreachable(error: Exception, connection: Connection) -> CliError:
    """Nothing answers at the URL, or it is not who it should be."""
    where = f"cannot reach MUTT at {connection.url} (from {connection.url_source})"
    if isinstance(error, requests.exceptions.SSLError):
        return CliError(
            f"{where}: the TLS certificate is not trusted ({_cause(error)}). Name the CA that signed it with "
            "--ca-file or as ca_file in ~/.config/mutt/admin.toml; the check cannot be switched off"
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return CliError(f"{where}: nothing answered in time. Is a firewall between, or is the host down?")
    port = urlsplit(connection.url).port or (443 if connection.url.startswith("https") else 80)
    return CliError(
        f"{where}: {_cause(error)}. Is it running (systemctl status mutt), is {port} the port of the web UI "
        "(SERVER_PORT_WEBUI), and is it the right host? --url or MUTT_ADMIN_URL name another one"
    )


def _where(problem: Problem, sentence: str) -> str:
    return f" (field: {problem.field})" if problem.field and problem.field not in sentence else ""


def _advice(answer: requests.Response, connection: Connection) -> str:
    if answer.status_code in (401, 403):
        return f" (the key is from {connection.key_source})"
    if answer.status_code == 412:
        return "; read it again, then repeat the change"
    if answer.status_code >= 500:
        return f" (correlation id {answer.headers.get('X-Correlation-ID', 'unknown')})"
    return ""


def _cause(error: Any) -> str:
    """What the operating system or the TLS library said, without the layers that pass it on."""
    cause = error
    while True:
        inner = getattr(cause, "reason", None) or next(
            (each for each in cause.args if isinstance(each, Exception)), None
        )
        if not isinstance(inner, BaseException):
            break
        cause = inner
    words = str(cause).partition(": ")[2] if "Connection" in type(cause).__name__ else str(cause)
    return (words or str(cause)).partition(" (_ssl.c")[0]
