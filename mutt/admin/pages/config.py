"""/config: settings that change while everything runs."""

from typing import Any

import falcon

from mutt.admin.access import Scope
from mutt.admin.pages.forms import Form, FormError
from mutt.admin.pages.site import Site
from mutt.admin.pages.view import View
from mutt.admin.services.config import etag
from mutt.admin.shapes.config import Setting, Value
from mutt.admin.wiring import Services

HISTORY = 50


class ConfigPages:
    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, site: Site, app: "falcon.App[Any, Any]") -> None:
        site.add(app, "/config", get=self.list)
        site.add(app, "/config/{key}", get=self.show, post=self.set)
        site.add(app, "/config/{key}/reset", post=self.reset)

    def list(self, view: View) -> None:
        view.show("config.html", settings=view.load(self._services.config.list))

    def show(self, view: View, key: str) -> None:
        setting = self._services.config.get(key)
        self._show(view, setting, Form({"value": str(setting.value), "etag": etag(setting)}))

    def set(self, view: View, key: str) -> None:
        view.demand(Scope.ADMIN)
        form = view.form()
        with form.refusals():
            value = typed_value(form["value"].strip(), self._services.config.get(key))
            setting = self._services.config.set(key, value, view.author(), form.if_match)
            view.go(f"/config/{key}", f"{key} is {setting.value} now. Every program follows within five seconds.")
            return
        self._show_again(view, form, key)

    def reset(self, view: View, key: str) -> None:
        view.demand(Scope.ADMIN)
        form = view.form()
        with form.refusals():
            setting = self._services.config.reset(key, view.author(), form.if_match)
            view.go(f"/config/{key}", f"{key} is back at {setting.value}.")
            return
        self._show_again(view, form, key)

    def _show_again(self, view: View, form: Form, key: str) -> None:
        """What was typed stays; the ETag is the present one, so that saving once more replaces knowingly."""
        setting = self._services.config.get(key)
        form.values["etag"] = etag(setting)
        self._show(view, setting, form)

    def _show(self, view: View, setting: Setting, form: Form) -> None:
        settings = self._services.config.list()
        view.show(
            "setting.html",
            form.status,
            setting=setting,
            enabled=settings.enabled,
            form=form,
            history=view.load(lambda: self._services.config.history(setting.key, 1, HISTORY)),
            others=form.elsewhere(["value", "reason"]),
        )


def typed_value(text: str, setting: Setting) -> Value:
    """What was typed, as the type of the setting. Raises FormError."""
    try:
        if isinstance(setting.default, int):
            return int(text)
        if isinstance(setting.default, float):
            return float(text)
    except ValueError:
        raise FormError({"value": f"{setting.key} takes {setting.accepts}, not {text!r}"}) from None
    return text
