"""/rules/test and /rules/backtest: what would happen, before anything does."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon
import msgspec

from mutt.admin.pages.forms import Form, FormError, convert, read_document, read_object
from mutt.admin.pages.rules import NEW_RULE, draft_of, show_bench
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.rules import BacktestRequest, RuleDraft, RuleSet, RuleTest
from mutt.admin.wiring import Services
from mutt.errors import DataError, OutageError, RequestError

NDJSON = "application/x-ndjson"
EXAMPLE = '{\n  "timestamp": "%s",\n  "hostname": "r1",\n  "message": "CRITICAL: link down",\n  "syslog_severity": 2\n}'


class TrialPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/rules/test", get=self.ask_test, post=self.test)
        site.add(app, "/rules/backtest", get=self.ask_backtest, post=self.backtest)

    def ask_test(self, view: View) -> None:
        example = EXAMPLE % datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        show_bench(view, Form(NEW_RULE | {"draft": "", "event": example}), "test")

    def test(self, view: View) -> None:
        form = view.form()
        tried = None
        with form.refusals():
            rule = draft_of(form) if form["draft"] == "true" else None
            event = read_object(form["event"], "event")
            tried = self._services.rule_tests.test(RuleTest(event=event, rule=rule, rule_id=number(form, "rule_id")))
        show_bench(view, form, form["kind"] or "test", tried=tried)

    def ask_backtest(self, view: View) -> None:
        chosen = {"trial": "remove", "rule_id": view.parameters["remove"]} if view.parameters.get("remove") else {}
        show_bench(view, Form(NEW_RULE | {"trial": "draft"} | chosen), "backtest")

    def backtest(self, view: View) -> None:
        if NDJSON in view.req.accept:
            view.resp.content_type = NDJSON
            view.resp.stream = self._lines(view)
            return
        form = view.form()
        last = None
        with form.refusals():
            last = deque(self._services.backtests.run(request_of(form)), maxlen=1).pop()
        show_bench(view, form, form["kind"] or "backtest", backtest=last)

    def _lines(self, view: View) -> Iterator[bytes]:
        """Each step as a line of JSON; the last one holds the result as a part of a page."""
        last, problem = None, ""
        try:
            for last in self._services.backtests.run(request_of(view.form())):
                yield _line(events=last.events, of=last.of, seconds=last.seconds)
        except (RequestError, OutageError, DataError) as error:
            last, problem = None, str(error)
        yield _line(html=view.site.fragment(view.req, "backtest.html", backtest=last, problem=problem))


def _line(**members: Any) -> bytes:
    return msgspec.json.encode(members) + b"\n"


def request_of(form: Form) -> BacktestRequest:
    """What is to be tried on which events. Raises FormError."""
    start, end = times(form)
    match form["trial"]:
        case "remove":
            rule_id = number(form, "rule_id")
            if rule_id is None:
                raise FormError({"rule_id": "which rule would be removed? Give its number"})
            return BacktestRequest(start=start, end=end, rule_id=rule_id, remove=True)
        case "document":
            return BacktestRequest(start=start, end=end, rules=drafts_of_document(form["document"]))
    return BacktestRequest(start=start, end=end, rule=draft_of(form), rule_id=number(form, "rule_id"))


def drafts_of_document(text: str) -> list[RuleDraft]:
    rules = convert(read_document(text, "document"), RuleSet, "document").rules
    names = [name for name in RuleDraft.__struct_fields__ if name != "reason"]
    return [RuleDraft(**{name: getattr(rule, name) for name in names}) for rule in rules]


def times(form: Form) -> tuple[datetime, datetime]:
    """The window that was chosen: two times, or the hours until now. Raises FormError."""
    end = moment(form, "end") or datetime.now(UTC)
    start = moment(form, "start")
    if start is None:
        hours = form["hours"] or "24"
        if not hours.isdecimal() or not 1 <= int(hours) <= 24 * 366:
            raise FormError({"hours": "hours must be a whole number from 1 to 8784"})
        start = end - timedelta(hours=int(hours))
    return start, end


def moment(form: Form, name: str) -> datetime | None:
    """A time that was typed; without an offset it is UTC. Raises FormError."""
    text = form[name].strip()
    if not text:
        return None
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        raise FormError({name: f"{name}: {text!r} is not a time such as 2026-01-31T14:00:00Z"}) from None
    return typed if typed.tzinfo else typed.replace(tzinfo=UTC)


def number(form: Form, name: str) -> int | None:
    """A number that was typed, None when the field is empty. Raises FormError."""
    text = form[name].strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 2147483647:
        raise FormError({name: f"{name} must be the number of a rule, not {text!r}"})
    return int(text)
