"""Login and logout."""

import falcon

from mutt.admin.pages.site import Site
from mutt.errors import RequestError


def exchange(site: Site, req: falcon.Request, resp: falcon.Response, key: str) -> None:
    """A session for the key and a redirect without it, or the login page again."""
    presented = key.encode("utf-8", "replace")
    try:
        site.access.actor_of_key(presented, req.remote_addr)
    except RequestError as refusal:
        show_login(site, req, resp, refusal.status, str(refusal))
        return
    secret_name = site.access.secret_of_key(presented)
    assert secret_name is not None  # noqa: S101 - the key was accepted in the line above
    site.sessions.begin(resp, secret_name)
    resp.status = falcon.HTTP_303
    resp.location = "/"


def show_login(site: Site, req: falcon.Request, resp: falcon.Response, status: int, problem: str = "") -> None:
    resp.status = falcon.code_to_http_status(status)
    site.render(req, resp, "login.html", problem=problem)


class LoginPage:
    """GET /login shows the form, POST /login exchanges the key for a session."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        show_login(self._site, req, resp, 200)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = req.get_media(default_when_empty={})
        exchange(self._site, req, resp, str(form.get("api_key", "")) if isinstance(form, dict) else "")


class LogoutPage:
    """POST /logout ends the session."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._site.actor(req)
        self._site.sessions.end(resp)
        resp.status = falcon.HTTP_303
        resp.location = "/login"
