"""The dashboard."""

from typing import Any

import falcon

from mutt.admin.access import Access
from mutt.admin.pages.login import LoginPage, LogoutPage
from mutt.admin.pages.overview import OverviewPage
from mutt.admin.pages.site import Site
from mutt.admin.sessions import Sessions
from mutt.admin.wiring import Services


def mount_pages(app: "falcon.App[Any, Any]", services: Services, access: Access, sessions: Sessions) -> None:
    """Adds the dashboard's pages."""
    site = Site(access, sessions)
    app.add_route("/", OverviewPage(site, services))
    app.add_route("/login", LoginPage(site))
    app.add_route("/logout", LogoutPage(site))
