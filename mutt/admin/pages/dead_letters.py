"""/dead-letters: what was put aside, why, and what to do with it."""

from typing import Any, cast, get_args

import falcon
import msgspec

from mutt.admin.access import Scope
from mutt.admin.pages.forms import Form, FormError, read, read_json
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.shapes.dead_letters import (
    Letter,
    LetterChoice,
    LetterEdit,
    LetterFilter,
    LetterList,
    LetterOutcome,
    LetterReplay,
    ListName,
)
from mutt.admin.wiring import Services
from mutt.errors import Reason, RequestError

SHOWN = ["reason", "rate_per_second", "payload", "which"]


class DeadLetterPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/dead-letters", get=self.lists)
        site.add(app, "/dead-letters/{name}", get=self.letters)
        site.add(app, "/dead-letters/{name}/replay", post=self.replay)
        site.add(app, "/dead-letters/{name}/discard", post=self.discard)
        site.add(app, "/dead-letters/{name}/{letter_id}", get=self.letter, post=self.edit)

    def lists(self, view: View) -> None:
        view.show("dead_letters.html", lists=view.load(self._services.dead_letters.lists))

    def letters(self, view: View, name: str) -> None:
        self._show_list(view, list_name(name), Form())

    def letter(self, view: View, name: str, letter_id: str) -> None:
        letter = self._services.dead_letters.letter(list_name(name), letter_id)
        self._show_letter(view, name, letter, Form({"payload": pretty_json(letter.payload)}))

    def edit(self, view: View, name: str, letter_id: str) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            edit = read(form.values, LetterEdit, payload=read_json(form["payload"], "payload"))
            edited = self._services.dead_letters.edit(list_name(name), letter_id, edit, view.author())
            view.go(f"/dead-letters/{name}/{edited.id}", "The letter is changed. It can be replayed now.")
            return
        self._show_letter(view, name, self._services.dead_letters.letter(list_name(name), letter_id), form)

    def replay(self, view: View, name: str) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            choice = read(form.values, LetterReplay, **chosen(view))
            self._done(view, name, self._services.dead_letters.replay(list_name(name), choice, view.author()))
            return
        self._show_list(view, list_name(name), form)

    def discard(self, view: View, name: str) -> None:
        view.demand(Scope.OPERATOR)
        form = view.form()
        with form.refusals():
            choice = read(form.values, LetterChoice, **chosen(view))
            self._done(view, name, self._services.dead_letters.discard(list_name(name), choice, view.author()))
            return
        self._show_list(view, list_name(name), form)

    def _done(self, view: View, name: str, outcome: LetterOutcome) -> None:
        skipped = "".join(f" {count} left: {why}." for why, count in outcome.skipped.items())
        view.go(f"/dead-letters/{name}", f"{outcome.message}{skipped}")

    def _show_list(self, view: View, name: ListName, form: Form) -> None:
        filters = view.filters()
        size = self._services.page_size
        found = view.load(
            lambda: self._services.dead_letters.letters(view.asked(LetterFilter, name=name), size), filters
        )
        about: LetterList | None = None
        lists = view.load(self._services.dead_letters.lists)
        for each in lists.lists if lists else []:
            about = each if each.name == name else about
        view.show(
            "dead_letter_list.html",
            form.status,
            name=name,
            about=about,
            found=found,
            filters=filters,
            form=form,
            ticked=view.texts("ids") if view.req.method == "POST" else [],
            others=form.elsewhere(SHOWN) + filters.elsewhere([]),
        )

    def _show_letter(self, view: View, name: str, letter: Letter, form: Form) -> None:
        view.show("dead_letter.html", form.status, name=name, letter=letter, form=form, others=form.elsewhere(SHOWN))


def chosen(view: View) -> dict[str, Any]:
    """Which letters the form means: the ticked ones, those of a reason, or all. Raises FormError."""
    which = view.text("which")
    none: dict[str, Any] = {"ids": None, "with_reason": None, "all": False, "dry_run": view.text("dry_run") == "true"}
    if which == "all":
        return none | {"all": True}
    if which.startswith("reason:"):
        return none | {"with_reason": which.removeprefix("reason:")}
    ids = view.texts("ids")
    if not ids:
        raise FormError({"which": "no letter is ticked; tick some, or choose a reason or all"})
    return none | {"ids": ids}


def list_name(name: str) -> ListName:
    """The name of a list of dead letters. Raises RequestError (404)."""
    for known in get_args(ListName):
        if known == name:
            return cast(ListName, known)
    raise RequestError(Reason.NOT_FOUND, 404, f"there is no list of dead letters {name!r}")


def pretty_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
