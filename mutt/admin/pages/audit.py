"""/audit: who changed what, and taking it back."""

from typing import Any

import falcon

from mutt.admin.pages.forms import Form
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.services.undoing import scope_to_undo
from mutt.admin.shapes.events import ConfigAuditFilter, ConfigChange
from mutt.admin.wiring import Services

CHANGE = "{change_id:int(min=1, max=9223372036854775807)}"
SHOWN = ["table_name", "operation", "changed_by", "record_id", "correlation_id", "start_date", "end_date"]


class AuditPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/audit", get=self.list)
        site.add(app, f"/audit/{CHANGE}", get=self.one)
        site.add(app, f"/audit/{CHANGE}/undo", post=self.undo)

    def list(self, view: View) -> None:
        filters, size = view.filters(), self._services.page_size
        found = view.load(lambda: self._services.config_audit.list(view.asked(ConfigAuditFilter), size), filters)
        view.show("audit.html", filters.status, form=filters, found=found, others=filters.elsewhere(SHOWN))

    def one(self, view: View, change_id: int) -> None:
        self._show(view, self._services.config_audit.get(change_id), Form())

    def undo(self, view: View, change_id: int) -> None:
        change = self._services.config_audit.get(change_id)
        view.demand(scope_to_undo(change))
        form = view.form()
        with form.refusals():
            undone = self._services.config_audit.undo(change_id, view.author())
            view.go(f"/audit/{undone.id}", f"{undone.message}.")
            return
        self._show(view, change, form)

    def _show(self, view: View, change: ConfigChange, form: Form) -> None:
        view.show("change.html", form.status, change=change, form=form, needed=scope_to_undo(change).name)
