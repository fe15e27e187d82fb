"""/doctor: is all well, and if not, what to do."""

from typing import Any

import falcon

from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.wiring import Services

WORST_FIRST = ("failed", "warning", "ok")


class DoctorPage:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/doctor", get=self.show)

    def show(self, view: View) -> None:
        diagnosis = view.load(self._services.diagnosis.look)
        findings = sorted(diagnosis.findings if diagnosis else [], key=lambda finding: WORST_FIRST.index(finding.state))
        view.show("doctor.html", diagnosis=diagnosis, findings=findings)
