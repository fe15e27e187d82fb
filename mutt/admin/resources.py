"""The web UI's resources: /api/v2/metrics and the overview page with its login."""

import time
from collections.abc import Callable
from typing import Any

import falcon
import jinja2
import msgspec

from mutt.admin.overview import Overview
from mutt.admin.sessions import KEY_NAME, Sessions
from mutt.credentials import Credentials
from mutt.errors import OutageError, Reason, RequestError
from mutt.web import problems
from mutt.web.auth import key_is_valid

LATEST_EVENTS = 20

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class MetricsApi:
    """GET /api/v2/metrics: rates, queues and the circuit as JSON, at most METRICS_CACHE_TTL seconds old."""

    def __init__(self, overview: Overview, sessions: Sessions, cache_seconds: float) -> None:
        self._read = overview.figures
        self._sessions = sessions
        self._cache_seconds = cache_seconds
        self._cached: dict[str, Any] = {}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _answer(resp, lambda: self._show(req, resp))

    def _show(self, req: falcon.Request, resp: falcon.Response) -> None:
        if not self._sessions.allows(req):
            raise RequestError(Reason.UNAUTHORIZED, 401, "the X-API-KEY header is missing or is not a valid key")
        if time.time() - self._cached.get("timestamp", 0.0) > self._cache_seconds:
            self._cached = self._read()
        resp.data = msgspec.json.encode(self._cached)


class OverviewPage:
    """GET / and POST /: the overview, or the login that leads to it."""

    def __init__(self, overview: Overview, sessions: Sessions, credentials: Credentials, secure: bool) -> None:
        self._overview = overview
        self._sessions = sessions
        self._credentials = credentials
        self._secure = secure
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("mutt.admin"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _answer(resp, lambda: self._show(req, resp))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        _answer(resp, lambda: self._log_in(req, resp))

    def _show(self, req: falcon.Request, resp: falcon.Response) -> None:
        if key := req.get_param("api_key"):
            # Exchanged and redirected at once, so that the key stays out of logs and of the browser's history.
            self._exchange(key, resp)
        elif self._sessions.allows(req):
            self._show_overview(resp)
        else:
            self._show_login(resp, "")

    def _log_in(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = req.get_media(default_when_empty={})
        self._exchange(str(form.get("api_key", "")) if isinstance(form, dict) else "", resp)

    def _exchange(self, key: str, resp: falcon.Response) -> None:
        if not key_is_valid(key.encode("utf-8", "replace"), KEY_NAME, self._credentials):
            self._show_login(resp, "That is not a valid key.")
            return
        self._sessions.begin(resp, self._secure)
        resp.status = falcon.HTTP_303
        resp.location = "/"

    def _show_login(self, resp: falcon.Response, problem: str) -> None:
        resp.status = falcon.HTTP_401
        self._render(resp, "login.html", problem=problem)

    def _show_overview(self, resp: falcon.Response) -> None:
        figures, events, problem = {}, [], ""
        try:
            figures = self._overview.figures()
            events = self._overview.latest_events(LATEST_EVENTS)
        except OutageError as outage:
            problem = str(outage)
        self._render(resp, "overview.html", figures=figures, events=events, problem=problem)

    def _render(self, resp: falcon.Response, template: str, **values: Any) -> None:
        resp.content_type = "text/html; charset=utf-8"
        for name, value in SECURITY_HEADERS.items():
            resp.set_header(name, value)
        resp.text = self._templates.get_template(template).render(**values)


def _answer(resp: falcon.Response, show: Callable[[], None]) -> None:
    try:
        show()
    except RequestError as refusal:
        problems.write(resp, refusal)
    except OutageError as outage:
        problems.write(resp, RequestError(outage.reason, 503, str(outage)))
