"""What was done, told once on the page after it."""

import falcon
from itsdangerous import BadSignature, URLSafeSerializer

from mutt.admin.sessions import Sessions

COOKIE = "mutt_message"
MOST_CHARACTERS = 1000


class Messages:
    """A message travels in a cookie that the session's token signs, so that nobody else can put words there."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def leave(self, req: falcon.Request, resp: falcon.Response, message: str) -> None:
        """Has the next page show the message."""
        session = self._sessions.of(req)
        if session is not None:
            signed = _serializer(session.csrf_token).dumps(message[:MOST_CHARACTERS])
            resp.set_cookie(
                COOKIE,
                signed if isinstance(signed, str) else signed.decode(),
                max_age=60,
                http_only=True,
                same_site="Strict",
                secure=req.scheme == "https",
                path="/",
            )

    def take(self, req: falcon.Request, resp: falcon.Response) -> str:
        """The message that was left, "" when there is none; it is gone afterwards."""
        signed = req.cookies.get(COOKIE)
        session = self._sessions.of(req) if signed else None
        if signed is None or session is None:
            return ""
        resp.unset_cookie(COOKIE, path="/", same_site="Strict")
        try:
            return str(_serializer(session.csrf_token).loads(signed))
        except BadSignature:
            return ""


def _serializer(token: str) -> URLSafeSerializer:
    return URLSafeSerializer(token, salt="message")
