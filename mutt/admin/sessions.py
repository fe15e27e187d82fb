"""Sessions of the dashboard: a signed cookie in exchange for the API key."""

import hashlib

import falcon
from itsdangerous import BadSignature, URLSafeTimedSerializer

from mutt.credentials import Credentials
from mutt.web.auth import header_key, key_is_valid

COOKIE = "mutt_session"
LIFETIME_SECONDS = 12 * 3600
"""A shift and its handover."""

KEY_NAME = "WEBUI_API_KEY"


class Sessions:
    """Knows who may see the dashboard. The signature depends on the API key: a changed key ends all sessions."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def allows(self, req: falcon.Request) -> bool:
        """Whether the request carries the API key or a session. Raises CredentialsError."""
        if key_is_valid(header_key(req), KEY_NAME, self._credentials):
            return True
        cookie = req.cookies.get(COOKIE)
        return cookie is not None and any(_is_signed_by(key, cookie) for key in self._credentials.candidates(KEY_NAME))

    def begin(self, resp: falcon.Response, secure: bool) -> None:
        """Gives the browser a session."""
        key = self._credentials.candidates(KEY_NAME)[0]
        resp.set_cookie(
            COOKIE,
            _serializer(key).dumps("dashboard"),
            max_age=LIFETIME_SECONDS,
            http_only=True,
            same_site="Strict",
            secure=secure,
            path="/",
        )


def _serializer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(hashlib.sha256(b"mutt session " + key.encode()).hexdigest(), salt="dashboard")


def _is_signed_by(key: str, cookie: str) -> bool:
    try:
        _serializer(key).loads(cookie, max_age=LIFETIME_SECONDS)
    except BadSignature:
        return False
    return True
