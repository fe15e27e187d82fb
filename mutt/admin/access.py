"""Who may do what: API keys with names and scopes, and the dashboard's sessions.

The secret WEBUI_API_KEY is an admin key named "webui". Further keys are secrets named
``WEBUI_API_KEY_<SCOPE>_<NAME>``, for example WEBUI_API_KEY_OPERATOR_NIGHT_SHIFT: scope operator, name
"night-shift". Each may have a twin with _NEXT at its end, so that it rotates without a gap.
"""

import hmac
import re
from enum import IntEnum
from typing import NamedTuple

import falcon

from mutt.admin.sessions import Sessions
from mutt.credentials import Credentials
from mutt.errors import Reason, RequestError
from mutt.web.auth import header_key
from mutt.web.throttle import WrongKeys

ADMIN_KEY = "WEBUI_API_KEY"
_NAMED_KEY = re.compile(r"WEBUI_API_KEY_(VIEWER|OPERATOR|ADMIN)_([A-Z0-9_]+?)(?:_NEXT)?")
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class Scope(IntEnum):
    """What a key may do; each scope includes those before it.

    Viewers read, test and backtest. Operators change rules, hosts, teams, dead letters and unhandled patterns.
    Admins change the dynamic configuration.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class Actor(NamedTuple):
    """Whoever makes a request; the name is the key's and stands in the audit as ``changed_by``."""

    name: str
    scope: Scope


class Author(NamedTuple):
    """Who makes a change, why, and under which correlation id: what the audit of a change needs to know."""

    name: str
    reason: str | None
    correlation_id: str


class Access:
    """Finds out who makes a request. Shared by the API and the dashboard."""

    def __init__(self, credentials: Credentials, sessions: Sessions, wrong_keys: WrongKeys) -> None:
        self._credentials = credentials
        self._sessions = sessions
        self._wrong_keys = wrong_keys

    def actor(self, req: falcon.Request) -> Actor:
        """Whoever the key or the session names.

        A request that changes something on the strength of a session has to carry the session's CSRF token in the
        header X-CSRF-Token or the form field ``csrf``. Raises RequestError (401, 403 or 429) and CredentialsError.
        """
        presented = header_key(req)
        if presented:
            return self.actor_of_key(presented, req.remote_addr)
        session = self._sessions.of(req)
        actor = self._named(session.secret_name) if session else None
        if session is None or actor is None:
            raise RequestError(
                Reason.UNAUTHORIZED, 401, "send your API key in the header X-API-KEY, or log in on the dashboard"
            )
        if req.method not in SAFE_METHODS and not session.has_token(req):
            raise RequestError(Reason.FORBIDDEN, 403, "the CSRF token of the session is missing; load the page again")
        return actor

    def actor_of_key(self, presented: bytes, address: str) -> Actor:
        """Whoever owns the key. Raises RequestError: 401, or 429 after too many wrong keys from the address."""
        secret_name = self.secret_of_key(presented)
        actor = self._named(secret_name) if secret_name else None
        if actor is None:
            if self._wrong_keys.too_many(address):
                raise RequestError(Reason.TOO_MANY_WRONG_KEYS, 429, "too many wrong keys came from this address")
            raise RequestError(Reason.UNAUTHORIZED, 401, "that is not a valid API key")
        return actor

    def secret_of_key(self, presented: bytes) -> str | None:
        """The name of the secret that holds the key. Compares with all of them, so that time tells nothing."""
        found = None
        for name in self._credentials.names():
            if self._named(name) is None or name.endswith("_NEXT"):
                continue
            for key in self._credentials.candidates(name):
                if hmac.compare_digest(presented, key.encode()):
                    found = name
        return found

    @staticmethod
    def _named(secret_name: str) -> Actor | None:
        if secret_name == ADMIN_KEY:
            return Actor("webui", Scope.ADMIN)
        match = _NAMED_KEY.fullmatch(secret_name)
        return Actor(match[2].lower().replace("_", "-"), Scope[match[1]]) if match else None


def demand(actor: Actor, scope: Scope) -> None:
    """Raises RequestError (403) when the actor's scope does not reach."""
    if actor.scope < scope:
        raise RequestError(
            Reason.FORBIDDEN,
            403,
            f"the key {actor.name!r} has the scope {actor.scope.name.lower()}; this needs {scope.name.lower()}",
        )
