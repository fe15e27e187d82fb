"""One request to the webhook, within a total deadline, and what its answer means."""

import base64
import contextlib
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

import gevent
import requests
import structlog
import urllib3

from mutt.credentials import Credentials
from mutt.settings import WebhookSettings

log = structlog.get_logger(__name__)

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that are read; only the status counts, and a receiver may send anything."""

MOST_HOLD_SECONDS = 3600.0
"""A Retry-After longer than this is taken for a mistake."""


class Verdict(StrEnum):
    """What an answer means for the alerts of the request."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended. ``reason`` is the label of the metric, ``sentence`` is for people.

    ``status`` is None when no answer came; ``hold_seconds`` is what the receiver's Retry-After asks for.
    """

    verdict: Verdict
    reason: str
    sentence: str
    status: int | None
    latency_seconds: float
    hold_seconds: float = 0.0


class WebhookClient:
    """Posts to the webhook. Redirects are not followed, proxies of the environment not used, answers not unpacked."""

    def __init__(self, settings: WebhookSettings, credentials: Credentials, connections: int) -> None:
        self._settings = settings
        self._credentials = credentials
        self._auth = settings.auth or ("apikey" if settings.format == "cloud" else "bearer")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(settings.ca_cert_path) if settings.ca_cert_path else True
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def auth_token(self) -> str | None:
        """The token that belongs into the envelope, when MOOG_AUTH says so. Raises CredentialsError."""
        return self._credentials.get("MOOG_API_KEY") if self._auth == "body" else None

    def post(self, body: bytes, more_headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
        """Sends one request. Never raises for what the receiver does; raises CredentialsError without secrets."""
        headers = {"Content-Type": "application/json", "User-Agent": "MUTT/2.5", **more_headers, **self._auth_headers()}
        started = time.monotonic()
        status, trouble, hold = self._send(body, headers)
        latency = time.monotonic() - started
        if status is None:
            reason = "timeout" if trouble.startswith("no complete answer") else "connection"
            return Answer(Verdict.RETRY, reason, trouble, None, latency)
        verdict, reason = judge(status)
        return Answer(verdict, reason, f"the webhook answered {status}", status, latency, hold)

    def reachable(self) -> bool:
        """Whether the webhook's server answers at all. An OPTIONS request: no event comes of it at the receiver."""
        deadline = gevent.Timeout(self._settings.timeout_seconds)
        try:
            with (
                deadline,
                self._session.options(
                    self._settings.url, timeout=self._settings.timeout_seconds, allow_redirects=False, stream=True
                ) as response,
            ):
                return response.status_code < 500 or response.status_code == 501  # 501: it does not know OPTIONS
        except (requests.RequestException, OSError):
            return False
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            return False

    def _send(self, body: bytes, headers: dict[str, str]) -> tuple[int | None, str, float]:
        """(status or None, what went wrong, seconds of Retry-After)."""
        deadline = gevent.Timeout(self._settings.timeout_seconds)
        try:
            # requests' own timeout is per read: a dripping answer outlives it. The deadline is for all of it.
            with (
                deadline,
                self._session.post(
                    self._settings.url,
                    data=body,
                    headers=headers,
                    timeout=self._settings.timeout_seconds,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                with contextlib.suppress(urllib3.exceptions.HTTPError):
                    # Only the status counts; a body that breaks off does not make it another.
                    response.raw.read(ANSWER_LIMIT, decode_content=False)
                return response.status_code, "", retry_after(response.headers.get("Retry-After"))
        except requests.Timeout:
            return None, self._too_late(), 0.0
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            return None, self._too_late(), 0.0
        except (requests.RequestException, OSError, ValueError) as error:
            # urllib3 raises ValueErrors of several kinds for answers that are not HTTP.
            return None, f"no answer from the webhook: {type(error).__name__}", 0.0

    def _too_late(self) -> str:
        return f"no complete answer from the webhook within {self._settings.timeout_seconds:g} s"

    def _auth_headers(self) -> dict[str, str]:
        key = self._credentials.get("MOOG_API_KEY") if self._auth not in ("none", "body") else None
        if not key:
            return {}
        if self._auth == "basic":
            return {"Authorization": "Basic " + base64.b64encode(key.encode()).decode()}
        return {"apiKey": key} if self._auth == "apikey" else {"Authorization": f"Bearer {key}"}


def judge(status: int) -> tuple[Verdict, str]:
    """What a status means: (verdict, reason). Only a final 4xx is the alert's own fault."""
    if 200 <= status < 300:
        return Verdict.DELIVERED, ""
    if status in (401, 403):
        return Verdict.RETRY, "unauthorized"
    if status in (408, 429):
        return Verdict.RETRY, "too_many_requests" if status == 429 else "timeout"
    if 400 <= status < 500:
        return Verdict.REFUSED, "client_error"
    if 300 <= status < 400:
        return Verdict.RETRY, "redirect"
    return Verdict.RETRY, "server_error" if status >= 500 else "bad_answer"


def retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for (a number or an HTTP date); 0 when it says nothing sensible."""
    if not value:
        return 0.0
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        seconds = float(value.strip()[:9])
    else:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), MOST_HOLD_SECONDS)
