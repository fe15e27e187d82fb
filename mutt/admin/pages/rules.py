"""/rules: the list of rules, and one rule to be made, changed or deleted."""

from datetime import UTC, datetime
from typing import Any

import falcon
import msgspec

from mutt.admin.access import Scope
from mutt.admin.pages.forms import Form, read
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.rules import Rule, RuleChanges, RuleDraft, RuleFilter, RuleFinding
from mutt.admin.wiring import Services

HYGIENE_DAYS = 30
NEW_RULE = {
    "match_type": "contains", "priority": "500", "prod_handling": "Ticket_only", "dev_handling": "Log_only",
    "is_active": "true", "draft": "true", "hours": "24",
}  # fmt: skip
SHOWN = [*RuleDraft.__struct_fields__, "event", "hours", "start", "end", "rule_id", "document"]
"""The fields that the form of a rule shows its problems at."""


class RulePages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/rules", get=self.list)
        site.add(app, "/rules/new", get=self.new, post=self.create)
        site.add(app, "/rules/{rule_id:int(min=1, max=2147483647)}", get=self.show, post=self.update)
        site.add(app, "/rules/{rule_id:int(min=1, max=2147483647)}/delete", post=self.delete)

    def list(self, view: View) -> None:
        form = view.filters()
        rules = view.load(lambda: self._services.rules.list(view.asked(RuleFilter), self._services.page_size), form)
        hygiene = view.load(lambda: self._services.hygiene.look(HYGIENE_DAYS))
        findings: dict[int, list[RuleFinding]] = {}
        for finding in hygiene.findings if hygiene else []:
            findings.setdefault(finding.rule_id, []).append(finding)
        view.show("rules.html", form=form, rules=rules, findings=findings, days=HYGIENE_DAYS)

    def new(self, view: View) -> None:
        """The form for a new rule: empty, a copy of another (``copy``), or for an unhandled pattern (``pattern``)."""
        view.demand(Scope.OPERATOR)
        form = Form(NEW_RULE)
        if copied := view.parameters.get("copy"):
            if copied.isdecimal():
                form.values |= rule_values(self._services.rules.get(int(copied))[0])
        elif pattern_id := view.parameters.get("pattern"):
            pattern = self._services.unhandled.pattern(pattern_id)
            if pattern.suggestion is not None:
                form.values |= rule_values(pattern.suggestion)
            form.values["event"] = sample_event(pattern.samples, pattern.hosts, pattern.source)
            form.values["reason"] = f"made for the unhandled pattern {pattern.pattern}"[:1000]
        show_bench(view, form, "new")

    def create(self, view: View) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            rule = self._services.rules.create(draft_of(form), view.author())
            view.go(f"/rules/{rule.id}", f"Rule {rule.id} is made. The alerters have been told and use it at once.")
            return
        show_bench(view, form, "new")

    def show(self, view: View, rule_id: int) -> None:
        rule, etag = self._services.rules.get(rule_id)
        form = Form(NEW_RULE | rule_values(rule) | {"rule_id": str(rule_id), "etag": etag})
        show_bench(view, form, "edit", rule=rule)

    def update(self, view: View, rule_id: int) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            draft = draft_of(form)
            changes = RuleChanges(**{name: getattr(draft, name) for name in RuleDraft.__struct_fields__})
            self._services.rules.update(rule_id, changes, view.author(), form.if_match)
            view.go(f"/rules/{rule_id}", f"Rule {rule_id} is saved. The alerters have been told and use it at once.")
            return
        self._show_again(view, form, rule_id)

    def delete(self, view: View, rule_id: int) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            self._services.rules.delete(rule_id, view.author(), form.if_match)
            view.go("/rules", f"Rule {rule_id} is deleted. It can be restored under Changes.")
            return
        rule, etag = self._services.rules.get(rule_id)
        form.values = NEW_RULE | rule_values(rule) | {"rule_id": str(rule_id), "etag": etag, "reason": form["reason"]}
        show_bench(view, form, "edit", rule=rule)

    def _show_again(self, view: View, form: Form, rule_id: int) -> None:
        """The form as it was typed. When the rule has changed since, with what it is now beside it, and with its
        present ETag, so that saving once more overwrites it knowingly."""
        current = None
        if form.status == 412:
            current, form.values["etag"] = self._services.rules.get(rule_id)
        show_bench(view, form, "edit", rule=None, current=current)


def show_bench(view: View, form: Form, kind: str, **values: Any) -> None:
    """The form of a rule, where it can be tried and saved. ``kind``: new, edit, test or backtest."""
    known: dict[str, Any] = {"rule": None, "current": None, "tried": None, "backtest": None}
    view.show(
        "rule_bench.html",
        status=form.status,
        form=form,
        kind=kind,
        rule_id=int(form["rule_id"]) if form["rule_id"].isdecimal() else None,
        others=form.elsewhere(SHOWN),
        **(known | values),
    )


def draft_of(form: Form) -> RuleDraft:
    """The rule that was typed. Raises FormError."""
    return read(form.values, RuleDraft, is_active=form["is_active"] == "true")


def rule_values(rule: Rule | RuleDraft) -> dict[str, str]:
    """The rule as a form holds it."""
    values = {name: getattr(rule, name) for name in RuleDraft.__struct_fields__ if name != "reason"}
    return {name: form_text(value) for name, value in values.items()}


def form_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(value)


def sample_event(samples: "list[str]", hosts: "list[str]", source: str) -> str:
    """An event as JSON that the pattern was seen in, to try the rule with."""
    event = {
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hostname": hosts[0] if hosts else "host",
        "message": samples[0] if samples else "",
        "source": source,
    }
    return msgspec.json.format(msgspec.json.encode(event)).decode()
