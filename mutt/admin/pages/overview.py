"""GET /: the overview."""

import time

import falcon

from mutt.admin.pages.login import exchange
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.events import ConfigAuditFilter
from mutt.admin.wiring import Services

LATEST_EVENTS = 20
LATEST_CHANGES = 5


class OverviewPage:
    """What goes on now. Each part is read by itself, so that an outage takes only what it has to."""

    def __init__(self, site: Site, services: Services) -> None:
        self._site = site
        self._services = services
        self._page = site.responder(self._show)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        if key := req.get_param("api_key"):
            # Exchanged and redirected at once, so that the key stays out of logs and of the browser's history.
            exchange(self._site, req, resp, key)
        else:
            self._page(self, req, resp)

    def _show(self, view: View) -> None:
        services = self._services
        view.show(
            "overview.html",
            now=time.time(),
            figures=view.load(services.overview.figures),
            slo=view.load(services.slo.report),
            changes=view.load(
                lambda: services.config_audit.list(ConfigAuditFilter(limit=LATEST_CHANGES), LATEST_CHANGES)
            ),
            events=view.load(lambda: services.events.latest(LATEST_EVENTS)),
        )
