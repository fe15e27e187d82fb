"""Sessions of the dashboard: a signed cookie in exchange for an API key."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import falcon
from itsdangerous import BadSignature, URLSafeTimedSerializer

from mutt.credentials import Credentials

COOKIE = "mutt_session"
LIFETIME_SECONDS = 12 * 3600
"""A shift and its handover."""


@dataclass(frozen=True, slots=True)
class Session:
    """``secret_name`` names the secret with the key that was used to log in."""

    secret_name: str
    csrf_token: str

    def has_token(self, req: falcon.Request) -> bool:
        """Whether the request carries the CSRF token, in the header X-CSRF-Token or the form field ``csrf``."""
        presented = req.get_header("X-CSRF-Token")
        if presented is None and (req.content_type or "").startswith(falcon.MEDIA_URLENCODED):
            form = req.get_media(default_when_empty={})
            presented = form.get("csrf") if isinstance(form, dict) else None
        return isinstance(presented, str) and hmac.compare_digest(presented.encode(), self.csrf_token.encode())


class Sessions:
    """Reads and hands out sessions. The signature depends on the API key: a changed key ends its sessions."""

    def __init__(self, credentials: Credentials, secure: bool) -> None:
        self._credentials = credentials
        self._secure = secure

    def of(self, req: falcon.Request) -> Session | None:
        """The session of the request's cookie, or None. Raises CredentialsError."""
        cookie = req.cookies.get(COOKIE)
        secret_name, _, signed = (cookie or "").partition("~")
        if not signed:
            return None
        for key in self._credentials.candidates(secret_name):
            try:
                token = _serializer(key, secret_name).loads(signed, max_age=LIFETIME_SECONDS)
            except BadSignature:
                continue
            return Session(secret_name, str(token))
        return None

    def begin(self, resp: falcon.Response, secret_name: str) -> None:
        """Gives the browser a session for the key in this secret."""
        key = self._credentials.candidates(secret_name)[0]
        cookie = f"{secret_name}~{_serializer(key, secret_name).dumps(secrets.token_urlsafe(24))}"
        resp.set_cookie(
            COOKIE,
            cookie,
            max_age=LIFETIME_SECONDS,
            http_only=True,
            same_site="Strict",
            secure=self._secure,
            path="/",
        )

    def end(self, resp: falcon.Response) -> None:
        """Takes the session from the browser."""
        resp.unset_cookie(COOKIE, path="/", same_site="Strict")


def _serializer(key: str, secret_name: str) -> URLSafeTimedSerializer:
    secret = hashlib.sha256(b"mutt session " + secret_name.encode() + b" " + key.encode()).hexdigest()
    return URLSafeTimedSerializer(secret, salt="dashboard")
