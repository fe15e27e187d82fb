"""/hosts: development hosts, and the teams of devices."""

from collections.abc import Callable
from typing import Any

import falcon

from mutt.admin.access import Scope
from mutt.admin.pages.forms import Form, read
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.inventory import DevHostDraft, DeviceTeamChanges, DeviceTeamDraft, InventoryFilter
from mutt.admin.wiring import Services


class HostPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/hosts", get=self.show, post=self.add_host)
        site.add(app, "/hosts/remove", post=self.remove_host)
        site.add(app, "/hosts/teams", post=self.add_team)
        site.add(app, "/hosts/teams/change", post=self.change_team)
        site.add(app, "/hosts/teams/remove", post=self.remove_team)

    def show(self, view: View) -> None:
        self._show(view)

    def add_host(self, view: View) -> None:
        form = view.form()

        def act() -> str:
            host = self._services.hosts.add(read(form.values, DevHostDraft), view.author())
            return f"{host.hostname} is a development host now."

        self._attempt(view, form, act, hosts=form)

    def remove_host(self, view: View) -> None:
        form = view.form()

        def act() -> str:
            self._services.hosts.remove(form["hostname"], view.author())
            return f"{form['hostname']} is not a development host any more."

        self._attempt(view, form, act)

    def add_team(self, view: View) -> None:
        form = view.form()

        def act() -> str:
            team = self._services.teams.add(read(form.values, DeviceTeamDraft), view.author())
            return f"{team.hostname} belongs to {team.team_assignment} now."

        self._attempt(view, form, act, teams=form)

    def change_team(self, view: View) -> None:
        form = view.form()

        def act() -> str:
            changes = read(form.values, DeviceTeamChanges)
            self._services.teams.update(form["hostname"], changes, view.author())
            return f"{form['hostname']} belongs to {changes.team_assignment} now."

        self._attempt(view, form, act)

    def remove_team(self, view: View) -> None:
        form = view.form()

        def act() -> str:
            self._services.teams.remove(form["hostname"], view.author())
            return f"The rules decide the team of {form['hostname']} again."

        self._attempt(view, form, act)

    def _attempt(self, view: View, form: Form, act: Callable[[], str], **forms: Form) -> None:
        """Does it and goes back to the lists; or shows them with what was refused, and what was typed."""
        view.demand(Scope.OPERATOR)
        with form.refusals():
            view.go("/hosts", act())
            return
        shown = {"hosts": ["hostname", "description", "reason"], "teams": ["hostname", "team_assignment", "reason"]}
        others = form.elsewhere([name for place in forms for name in shown[place]])
        self._show(view, form.status, others, **forms)

    def _show(self, view: View, status: int = 200, others: Any = (), **forms: Form) -> None:
        filters = view.filters()
        size = self._services.page_size
        text = filters["q"] or None

        def page(name: str) -> InventoryFilter:
            return read({"q": text, "page": filters[name]}, InventoryFilter)

        view.show(
            "hosts.html",
            status,
            filters=filters,
            hosts=view.load(lambda: self._services.hosts.list(page("page"), size), filters),
            teams=view.load(lambda: self._services.teams.list(page("team_page"), size), filters),
            host_form=forms.get("hosts", Form()),
            team_form=forms.get("teams", Form()),
            others=[*others, *filters.elsewhere([])],
        )
