"""/unhandled: what arrives and matches no rule."""

from typing import Any

import falcon

from mutt.admin.access import Scope
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.unhandled import Ignore, UnhandledFilter
from mutt.admin.wiring import Services


class UnhandledPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/unhandled", get=self.list)
        site.add(app, "/unhandled/{pattern_id}/ignore", post=self.ignore)

    def list(self, view: View) -> None:
        form = view.filters()
        size = self._services.page_size
        found = view.load(lambda: self._services.unhandled.list(view.asked(UnhandledFilter), size), form)
        view.show("unhandled.html", form.status, form=form, found=found)

    def ignore(self, view: View, pattern_id: str) -> None:
        view.demand(Scope.OPERATOR)
        ignored = view.text("ignored") == "true"
        self._services.unhandled.ignore(pattern_id, Ignore(ignored=ignored), view.author())
        done = "is ignored: counted, and left out of the list" if ignored else "is in the list again"
        view.go("/unhandled" if ignored else "/unhandled?ignored=true", f"The pattern {done}.")
