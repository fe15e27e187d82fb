"""What all pages share: templates, security headers, who looks, and what is shown when something is refused."""

import secrets
from collections.abc import Callable
from typing import Any

import falcon
import jinja2

from mutt import __version__
from mutt.admin.access import Access, Actor
from mutt.admin.pages import commands, words
from mutt.admin.pages.forms import Form
from mutt.admin.pages.messages import Messages
from mutt.admin.pages.view import View
from mutt.admin.sessions import Sessions
from mutt.errors import DataError, OutageError, Reason, RequestError
from mutt.web import problems

MOST_FORM_BYTES = 8 * 1024 * 1024
"""A rule set of 20,000 rules, pasted."""

Page = Callable[..., None]
"""Answers a View; what the address names comes as keyword arguments."""


class Site:
    """Renders pages. Every page has a Content-Security-Policy that lets only our own files run."""

    def __init__(self, access: Access, sessions: Sessions) -> None:
        self.access = access
        self.sessions = sessions
        self.messages = Messages(sessions)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("mutt.admin"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals.update(
            command=commands.line,
            zip=zip,
            differences=words.differences,
            with_query=words.with_query,
            severities=words.SEVERITIES,
            version=__version__,
        )

    def add(self, app: "falcon.App[Any, Any]", path: str, get: Page | None = None, post: Page | None = None) -> None:
        """Serves pages at the path to whoever is logged in."""
        pages = {"on_get": get, "on_post": post}
        responders = {name: self.responder(page) for name, page in pages.items() if page is not None}
        app.add_route(path, type("PageResource", (), responders)())

    def actor(self, req: falcon.Request) -> Actor | None:
        """Whoever is logged in, or None. Raises RequestError (403) for a form without its CSRF token."""
        try:
            return self.access.actor(req)
        except RequestError as refusal:
            if refusal.status == 401:
                return None
            raise

    def render(self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any) -> None:
        """Answers with the page."""
        nonce = secrets.token_urlsafe(16)
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'self'; script-src 'self' 'nonce-{nonce}'; connect-src 'self'; "
            "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.set_header("Cache-Control", "no-store")
        resp.text = self.fragment(req, template, nonce=nonce, message=self.messages.take(req, resp), **values)

    def fragment(self, req: falcon.Request, template: str, **values: Any) -> str:
        """The text of a page, or of a part of one."""
        session = self.sessions.of(req)
        shared = {"csrf": session.csrf_token if session else "", "path": req.path, "view": None, "form": Form()}
        return self._templates.get_template(template).render(shared | values)

    def problem(
        self, req: falcon.Request, resp: falcon.Response, status: int, sentence: str, view: View | None = None
    ) -> None:
        """Answers with a page that says what is wrong."""
        resp.status = falcon.code_to_http_status(status)
        if status == 503:
            resp.set_header("Retry-After", str(problems.RETRY_AFTER_SECONDS))
        title = falcon.code_to_http_status(status).partition(" ")[2]
        self.render(req, resp, "problem.html", sentence=sentence, status=status, title=title, view=view)

    def not_found(self, req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any) -> None:
        """A page for a browser that asks for a path that is not there, a problem document for anybody else."""
        if req.path.startswith("/api/") or "text/html" not in req.accept:
            problems.handle_http_error(req, resp, error, params)
            return
        try:
            actor = self.actor(req)
            view = View(self, req, resp, actor) if actor else None
            self.problem(req, resp, 404, f"there is no page {req.path}", view)
        except (RequestError, OutageError):
            problems.handle_http_error(req, resp, error, params)

    def responder(self, page: Page) -> Callable[..., None]:
        """A Falcon responder that finds out who looks, has the page answer, and shows what is refused."""

        def respond(_self: Any, req: falcon.Request, resp: falcon.Response, **parts: str) -> None:
            self._serve(page, req, resp, parts)

        return respond

    def _serve(self, page: Page, req: falcon.Request, resp: falcon.Response, parts: dict[str, str]) -> None:
        view = None
        try:
            limit_form(req)
            actor = self.actor(req)
            if actor is None:
                self._ask_to_log_in(req, resp)
                return
            view = View(self, req, resp, actor)
            page(view, **parts)
        except RequestError as refusal:
            self._refuse(req, resp, refusal.status, str(refusal), view)
        except DataError as error:
            self._refuse(req, resp, 422, str(error), view)
        except OutageError as outage:
            self._refuse(req, resp, 503, str(outage), view)
        except falcon.HTTPError as error:
            status = falcon.http_status_to_code(error.status)
            self._refuse(req, resp, status, error.description or "the request cannot be read", view)

    def _refuse(
        self, req: falcon.Request, resp: falcon.Response, status: int, sentence: str, view: View | None
    ) -> None:
        try:
            self.problem(req, resp, status, sentence, view)
        except OutageError:
            # The secrets cannot be read, so nobody knows who looks: the same page without anything about them.
            resp.status, resp.content_type, resp.text = falcon.HTTP_503, "text/plain; charset=utf-8", sentence

    def _ask_to_log_in(self, req: falcon.Request, resp: falcon.Response) -> None:
        there = req.relative_uri if req.method == "GET" and req.path != "/" else ""
        resp.status = falcon.HTTP_401
        self.render(req, resp, "login.html", problem="", next=there)


def limit_form(req: falcon.Request) -> None:
    """Raises RequestError (413) for a form that is too large to be read."""
    if (req.content_length or 0) > MOST_FORM_BYTES:
        raise RequestError(Reason.BODY_TOO_LARGE, 413, f"the form is larger than {MOST_FORM_BYTES} bytes")
