"""/rules/code: the rules as one document, exported, and planned before it is applied."""

from typing import Any

import falcon

from mutt.admin.access import Scope
from mutt.admin.pages.forms import Form, convert, read_document
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.rules import PlanRequest
from mutt.admin.wiring import Services

SHOWN = ["document", "reason"]


class RuleCodePages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/rules/code", get=self.ask, post=self.plan)
        site.add(app, "/rules/code/apply", post=self.apply)

    def ask(self, view: View) -> None:
        self._show(view, Form())

    def plan(self, view: View) -> None:
        """Shows what applying the document would change; nothing does."""
        form, plan = view.form(), None
        with form.refusals():
            plan = self._services.rule_sets.plan(request_of(form))
            form.values["plan_etag"] = plan.plan_etag
        self._show(view, form, plan)

    def apply(self, view: View) -> None:
        """Applies the plan that was looked at; when the rules have changed since, shows the new plan."""
        view.demand(Scope.OPERATOR)
        form, plan = view.form(), None
        with form.refusals():
            done = self._services.rule_sets.apply(request_of(form), view.author())
            counts = f"{done.creates} made, {done.updates} changed, {done.deletes} deleted"
            view.go("/rules", f"Applied: {counts}, {done.unchanged} unchanged.")
            return
        if form.status == 412:
            plan = self._services.rule_sets.plan(request_of(Form(form.values | {"plan_etag": ""})))
            form.values["plan_etag"] = plan.plan_etag
        self._show(view, form, plan)

    def _show(self, view: View, form: Form, plan: Any = None) -> None:
        view.show("rule_code.html", form.status, form=form, plan=plan, others=form.elsewhere(SHOWN))


def request_of(form: Form) -> PlanRequest:
    """The document that was pasted. Raises FormError."""
    document = read_document(form["document"], "document")
    document |= {"prune": form["prune"] == "true", "reason": form["reason"] or None}
    document["plan_etag"] = form["plan_etag"] or None
    return convert(document, PlanRequest, "document")
