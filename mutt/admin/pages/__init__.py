"""The dashboard."""

from typing import Any

import falcon

from mutt.admin.access import Access
from mutt.admin.pages.audit import AuditPages
from mutt.admin.pages.config import ConfigPages
from mutt.admin.pages.dead_letters import DeadLetterPages
from mutt.admin.pages.doctor import DoctorPage
from mutt.admin.pages.events import EventPages
from mutt.admin.pages.hosts import HostPages
from mutt.admin.pages.login import LoginPage, log_out
from mutt.admin.pages.overview import OverviewPage
from mutt.admin.pages.rule_code import RuleCodePages
from mutt.admin.pages.rules import RulePages
from mutt.admin.pages.site import Site
from mutt.admin.pages.trials import TrialPages
from mutt.admin.pages.unhandled import UnhandledPages
from mutt.admin.sessions import Sessions
from mutt.admin.wiring import Services

PAGES = (
    RulePages, TrialPages, RuleCodePages, EventPages, UnhandledPages, DeadLetterPages, HostPages, ConfigPages,
    AuditPages, DoctorPage,
)  # fmt: skip


def mount_pages(app: "falcon.App[Any, Any]", services: Services, access: Access, sessions: Sessions) -> None:
    """Adds the dashboard's pages."""
    site = Site(access, sessions)
    app.add_route("/", OverviewPage(site, services))
    app.add_route("/login", LoginPage(site))
    site.add(app, "/logout", post=log_out)
    for pages in PAGES:
        pages(services).add_to(site, app)
    app.add_error_handler(falcon.HTTPRouteNotFound, site.not_found)
