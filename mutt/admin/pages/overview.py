"""GET /: the overview."""

import falcon

from mutt.admin.pages.login import exchange, show_login
from mutt.admin.pages.site import Site
from mutt.admin.wiring import Services
from mutt.errors import OutageError

LATEST_EVENTS = 20


class OverviewPage:
    def __init__(self, site: Site, services: Services) -> None:
        self._site = site
        self._overview = services.overview

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        if key := req.get_param("api_key"):
            # Exchanged and redirected at once, so that the key stays out of logs and of the browser's history.
            exchange(self._site, req, resp, key)
        elif self._site.actor(req) is None:
            show_login(self._site, req, resp, 401)
        else:
            self._show(req, resp)

    def _show(self, req: falcon.Request, resp: falcon.Response) -> None:
        figures, events, problem = None, [], ""
        try:
            figures = self._overview.figures()
            events = self._overview.latest_events(LATEST_EVENTS)
        except OutageError as outage:
            problem = str(outage)
        self._site.render(req, resp, "overview.html", figures=figures, events=events, problem=problem)
