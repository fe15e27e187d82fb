"""What all pages share: templates, security headers, and the session of whoever looks."""

import secrets
from typing import Any

import falcon
import jinja2

from mutt.admin.access import Access, Actor
from mutt.admin.sessions import Sessions
from mutt.errors import OutageError, RequestError


class Site:
    """Renders pages. Every page has a Content-Security-Policy that lets only our own files and this nonce run."""

    def __init__(self, access: Access, sessions: Sessions) -> None:
        self.access = access
        self.sessions = sessions
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("mutt.admin"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

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
        session = self.sessions.of(req)
        values |= {"nonce": nonce, "csrf": session.csrf_token if session else "", "path": req.path}
        resp.text = self._templates.get_template(template).render(**values)

    def problem(self, req: falcon.Request, resp: falcon.Response, refusal: RequestError | OutageError) -> None:
        """Answers with a page that says what is wrong."""
        status = refusal.status if isinstance(refusal, RequestError) else 503
        resp.status = falcon.code_to_http_status(status)
        self.render(req, resp, "problem.html", sentence=str(refusal), status=status)
