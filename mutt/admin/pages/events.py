"""/events: the audit log of events, and the journey of one."""

from typing import Any

import falcon

from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.events import EventFilter
from mutt.admin.wiring import Services
from mutt.errors import Reason, RequestError

SHOWN = ["q", "hostname", "rule_id", "handling", "team", "source", "start_date", "end_date"]


class EventPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/events", get=self.list)
        site.add(app, "/events/{correlation_id}", get=self.journey)

    def list(self, view: View) -> None:
        if view.parameters.get("correlation_id"):
            view.go(f"/events/{as_uuid(view.parameters['correlation_id'])}")
            return
        form = view.filters()
        size = self._services.page_size
        found = view.load(lambda: self._services.events.list(view.asked(EventFilter), size), form)
        conditions = {name: view.parameters[name] for name in SHOWN if view.parameters.get(name)}
        view.show(
            "events.html", form.status, form=form, found=found, conditions=conditions, others=form.elsewhere(SHOWN)
        )

    def journey(self, view: View, correlation_id: str) -> None:
        known = as_uuid(correlation_id)
        found = view.load(lambda: self._services.journeys.of(known))
        view.show("journey.html", correlation_id=known, found=found)


def as_uuid(text: str) -> str:
    """The correlation id in its usual form. Raises RequestError (404) when it is none."""
    plain = text.strip().lower()
    if len(plain) != 36 or not set(plain) <= set("0123456789abcdef-"):
        raise RequestError(Reason.NOT_FOUND, 404, f"{text!r} is not a correlation id")
    return plain
