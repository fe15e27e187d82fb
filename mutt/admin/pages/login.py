"""Login and logout."""

import falcon

from mutt.admin.pages.site import Site, limit_form
from mutt.admin.pages.view import View, own_path
from mutt.errors import OutageError, RequestError


def exchange(site: Site, req: falcon.Request, resp: falcon.Response, key: str, then: str = "/") -> None:
    """A session for the key and a redirect without it, or the login page again."""
    presented = key.encode("utf-8", "replace")
    try:
        site.access.actor_of_key(presented, req.remote_addr)
        secret_name = site.access.secret_of_key(presented)
        assert secret_name is not None  # noqa: S101 - the key was accepted in the line above
        site.sessions.begin(resp, secret_name)
    except RequestError as refusal:
        show_login(site, req, resp, refusal.status, str(refusal), then)
    except OutageError as outage:
        show_login(site, req, resp, 503, str(outage), then)
    else:
        resp.status = falcon.HTTP_303
        resp.location = own_path(then)


def show_login(
    site: Site, req: falcon.Request, resp: falcon.Response, status: int, problem: str = "", then: str = ""
) -> None:
    resp.status = falcon.code_to_http_status(status)
    site.render(req, resp, "login.html", problem=problem, next=own_path(then) if then else "")


class LoginPage:
    """GET /login shows the form, POST /login exchanges the key for a session."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        show_login(self._site, req, resp, 200)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        try:
            limit_form(req)
            form = req.get_media(default_when_empty={})
        except RequestError as refusal:
            show_login(self._site, req, resp, refusal.status, str(refusal))
            return
        fields = form if isinstance(form, dict) else {}
        exchange(self._site, req, resp, str(fields.get("api_key", "")), str(fields.get("next", "/")))


def log_out(view: View) -> None:
    """Ends the session."""
    view.site.sessions.end(view.resp)
    view.go("/login")
